// A hash table of 32-bit numbers that stand for objects kept elsewhere (in a slab, say), so that a name
// is stored once, with its object, and being found by it costs 10 to 11 bytes and no allocation of its own.
//
// Invariant: open addressing with linear probing and no tombstones; it grows by an eighth when it is four
// fifths full and gives memory back at an eighth. The caller hands in hashes, seeded where clients choose
// names, and says whether a number is what it looks for. Owned by one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/check.h"

namespace tidewire {

class IndexTable {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;  // no number

  // The number with this hash for which matches(number) is true; kNone where there is none.
  template <class Matches>
  std::uint32_t find(std::uint32_t hash, Matches&& matches) const {
    if (slots_.empty()) return kNone;
    for (std::size_t at = home_of(hash); slots_[at].number != kNone; at = after(at))
      if (slots_[at].hash == hash && matches(slots_[at].number)) return slots_[at].number;
    return kNone;
  }

  // The number must not be there, nor kNone.
  void insert(std::uint32_t hash, std::uint32_t number) {
    if ((size_ + 1) * 5 > slots_.size() * 4) resize(std::max(kSmallest, slots_.size() + slots_.size() / 8));
    place({number, hash});
    ++size_;
  }

  // The number must be there, under this hash.
  void erase(std::uint32_t hash, std::uint32_t number) {
    std::size_t hole = place_of(hash, number);
    // What lies behind moves up, unless that would bring it before its home.
    for (std::size_t at = after(hole); slots_[at].number != kNone; at = after(at)) {
      if (steps(home_of(slots_[at].hash), at) < steps(hole, at)) continue;
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole] = {};
    --size_;
    if (slots_.size() > kSmallest && size_ * 8 < slots_.size())
      resize(std::max(kSmallest, slots_.size() / 4));
  }

  // Another number for the same thing.
  void replace(std::uint32_t hash, std::uint32_t number, std::uint32_t with) {
    slots_[place_of(hash, number)].number = with;
  }

  std::size_t size() const { return size_; }
  std::size_t slots() const { return slots_.size(); }

  // Calls f(number) for every one, in no order; f must not change the table.
  template <class F>
  void for_each(F&& f) const {
    for (const Slot& slot : slots_)
      if (slot.number != kNone) f(slot.number);
  }

 private:
  static constexpr std::size_t kSmallest = 16;

  struct Slot {
    std::uint32_t number = kNone;
    std::uint32_t hash = 0;
  };

  // Hashes are spread over the slots in their own order, so that there may be any number of slots.
  std::size_t home_of(std::uint32_t hash) const { return std::uint64_t{hash} * slots_.size() >> 32; }
  std::size_t after(std::size_t at) const { return at + 1 < slots_.size() ? at + 1 : 0; }
  std::size_t steps(std::size_t from, std::size_t to) const {
    return to >= from ? to - from : to + slots_.size() - from;
  }

  std::size_t place_of(std::uint32_t hash, std::uint32_t number) const {
    TIDEWIRE_CHECK(size_ > 0);
    std::size_t at = home_of(hash);
    while (slots_[at].number != number) {
      TIDEWIRE_CHECK(slots_[at].number != kNone);
      at = after(at);
    }
    return at;
  }

  void place(Slot slot) {
    std::size_t at = home_of(slot.hash);
    while (slots_[at].number != kNone) at = after(at);
    slots_[at] = slot;
  }

  void resize(std::size_t count) {
    const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(count));
    for (const Slot& slot : old)
      if (slot.number != kNone) place(slot);
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace tidewire
