// A hash table with a bound, for facts about clients that fade with time.
//
// Open addressing over 128-bit keys that are hashes already. An entry says by `idle_at_ms()` from
// when on it says nothing (kPinned: never), and then it may go: each insertion looks at a few slots
// and drops what is idle, sweep() looks at all. Past `most` entries each insertion also drops the one
// nearest to idle among a few, so that only pinned entries can make the table larger. Owned by one
// thread, or by whoever holds its lock. A reference is good until the next insertion or sweep.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "guard/limit_key.h"

namespace tidewire::guard {

inline constexpr std::int64_t kPinned = std::numeric_limits<std::int64_t>::max();

template <class Entry>
class BoundedTable {
 public:
  explicit BoundedTable(std::size_t most) : most_(most) {}

  Entry* find(const LimitKey& key) {
    if (slots_.empty()) return nullptr;
    const std::size_t at = place_of(key);
    return slots_[at].key ? &slots_[at].entry : nullptr;
  }

  // Brings the key's place nearer. The one function for any thread: what it reads may be old, which does no
  // harm.
  void prefetch(const LimitKey& key) const {
    const std::uintptr_t begin = begin_.load(std::memory_order_relaxed);
    fetch(begin + (key.low & mask_.load(std::memory_order_relaxed)) * sizeof(Slot), sizeof(Slot));
  }

  // The entry of this key, made if it is not there. The key must not be empty.
  Entry& insert(const LimitKey& key, std::int64_t now_ms) {
    if (Entry* known = find(key)) return *known;
    sweep_some(kLooksPerInsert, now_ms);
    // Where the next insertion will look.
    fetch(reinterpret_cast<std::uintptr_t>(slots_.data() + (hand_ & mask())), kLooksPerInsert * sizeof(Slot));
    if (size_ >= most_) drop_nearest_to_idle();
    if ((size_ + 1) * 4 > slots_.size() * 3) make_room(now_ms);
    Slot& slot = slots_[place_of(key)];
    slot.key = key;
    slot.entry = Entry();
    ++size_;
    return slot.entry;
  }

  // Drops every idle entry, and gives memory back when little is left.
  void sweep(std::int64_t now_ms) {
    sweep_some(slots_.size(), now_ms);
    if (slots_.size() > kSmallest && size_ * 8 < slots_.size()) resize(smallest_for(size_));
  }

  // f(const LimitKey&, Entry&) for every entry.
  template <class F>
  void for_each(F&& f) {
    for (Slot& slot : slots_)
      if (slot.key) f(std::as_const(slot.key), slot.entry);
  }

  std::size_t size() const { return size_; }
  std::size_t slots() const { return slots_.size(); }

 private:
  static constexpr std::size_t kCacheLine = 64;
  static constexpr std::size_t kSmallest = 16;
  static constexpr std::size_t kLooksPerInsert = 4;
  static constexpr std::size_t kLooksPerDrop = 16;

  struct Slot {
    LimitKey key;
    Entry entry;
  };

  // Starts to bring these bytes from memory, which need not be there.
  static void fetch(std::uintptr_t at, std::size_t size) {
    for (std::size_t i = 0; i < size; i += kCacheLine)
      __builtin_prefetch(reinterpret_cast<const void*>(at + i), 1);
    __builtin_prefetch(reinterpret_cast<const void*>(at + size - 1), 1);
  }

  std::size_t mask() const { return slots_.size() - 1; }
  std::size_t home_of(const LimitKey& key) const { return key.low & mask(); }

  // Where the key is, or the free slot where it would go. There always is a free one.
  std::size_t place_of(const LimitKey& key) const {
    std::size_t at = home_of(key);
    while (slots_[at].key && !(slots_[at].key == key)) at = (at + 1) & mask();
    return at;
  }

  // Moves what lies behind into the hole, so that no chain is cut and no tombstones are needed.
  void erase(std::size_t hole) {
    for (std::size_t at = (hole + 1) & mask(); slots_[at].key; at = (at + 1) & mask()) {
      const std::size_t home = home_of(slots_[at].key);
      if (((at - home) & mask()) < ((at - hole) & mask())) continue;  // would come before its home
      slots_[hole] = std::move(slots_[at]);
      hole = at;
    }
    slots_[hole] = Slot{};
    --size_;
  }

  void sweep_some(std::size_t looks, std::int64_t now_ms) {
    while (looks > 0 && size_ > 0) {
      hand_ &= mask();
      if (slots_[hand_].key && slots_[hand_].entry.idle_at_ms() <= now_ms) {
        erase(hand_);  // what moves here is looked at next
      } else {
        ++hand_;
        --looks;
      }
    }
  }

  void drop_nearest_to_idle() {
    std::size_t nearest = slots_.size();
    std::int64_t nearest_ms = kPinned;
    std::size_t seen = 0;
    for (std::size_t i = 0; i < slots_.size() && seen < kLooksPerDrop; ++i) {
      hand_ = (hand_ + 1) & mask();
      if (!slots_[hand_].key) continue;
      ++seen;
      const std::int64_t idle_at_ms = slots_[hand_].entry.idle_at_ms();
      if (idle_at_ms < nearest_ms) {
        nearest = hand_;
        nearest_ms = idle_at_ms;
      }
    }
    if (nearest != slots_.size()) erase(nearest);
  }

  // A table that is full of idle entries is swept, not grown. It stays as it is only when a quarter
  // of it is free again, so the sweep is paid for by that many insertions.
  void make_room(std::int64_t now_ms) {
    sweep_some(slots_.size(), now_ms);
    if ((size_ + 1) * 2 > slots_.size()) resize(smallest_for(size_ + 1));
  }

  static std::size_t smallest_for(std::size_t entries) {
    std::size_t slots = kSmallest;
    while (entries * 2 > slots) slots *= 2;
    return slots;
  }

  void resize(std::size_t slots) {
    std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots));
    begin_.store(reinterpret_cast<std::uintptr_t>(slots_.data()), std::memory_order_relaxed);
    mask_.store(mask(), std::memory_order_relaxed);
    hand_ = 0;
    for (Slot& slot : old)
      if (slot.key) slots_[place_of(slot.key)] = std::move(slot);
  }

  std::vector<Slot> slots_;  // a power of two, or none
  std::size_t size_ = 0;
  std::size_t hand_ = 0;  // where the next look falls
  std::size_t most_;
  std::atomic<std::uintptr_t> begin_{0};  // of slots_, for prefetch()
  std::atomic<std::size_t> mask_{0};
};

}  // namespace tidewire::guard
