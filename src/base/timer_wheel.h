// A coarse timer wheel: eight levels of 64 slots, so that scheduling, cancelling and expiring are O(1)
// for a deadline in the next tick or in years.
//
// Entries are embedded in their owners (derive from TimerEntry); the wheel allocates nothing and an
// entry that is destroyed leaves the wheel by itself. Invariant: an entry never fires before its
// deadline, and fires once per schedule(). Within one tick the order is unspecified.
// Owned by one thread, entries included.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>

#include "base/check.h"

namespace tidewire {

class TimerEntry {
 public:
  TimerEntry() = default;
  TimerEntry(const TimerEntry&) = delete;
  TimerEntry& operator=(const TimerEntry&) = delete;

  bool scheduled() const { return previous_next_ != nullptr; }

 protected:
  ~TimerEntry() { unlink(); }

 private:
  template <class>
  friend class TimerWheel;

  void unlink() {
    if (previous_next_ == nullptr) return;
    *previous_next_ = next_;
    if (next_ != nullptr) next_->previous_next_ = previous_next_;
    previous_next_ = nullptr;
    next_ = nullptr;
  }

  void link(TimerEntry*& head) {
    next_ = head;
    if (head != nullptr) head->previous_next_ = &next_;
    head = this;
    previous_next_ = &head;
  }

  TimerEntry* next_ = nullptr;
  TimerEntry** previous_next_ = nullptr;  // what points at this entry: a slot or another's next_
  std::uint64_t tick_ = 0;
};

// Entry derives from TimerEntry.
template <class Entry>
class TimerWheel {
 public:
  // Deadlines are rounded up to multiples of resolution_ms (> 0); time starts at now_ms (>= 0).
  explicit TimerWheel(std::int64_t resolution_ms, std::int64_t now_ms = 0)
      : resolution_ms_(resolution_ms), elapsed_(floor_tick(now_ms)), earliest_(elapsed_) {
    TIDEWIRE_CHECK(resolution_ms > 0);
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  ~TimerWheel() {
    for (auto& level : slots_)
      for (TimerEntry*& slot : level)
        while (slot != nullptr) slot->unlink();
  }

  // Moves the entry if it is scheduled already. A deadline that has passed fires at the next tick;
  // inside advance() never in the same advance(), so an entry cannot keep it from ending.
  void schedule(Entry& entry, std::int64_t deadline_mono_ms) {
    TimerEntry& link = entry;
    link.unlink();
    link.tick_ = std::clamp(ceiling_tick(deadline_mono_ms), earliest_ + 1, kLastTick);
    insert(link);
  }

  void cancel(Entry& entry) { static_cast<TimerEntry&>(entry).unlink(); }

  // Calls callback(Entry&) for every entry whose deadline is at or before now_ms, in the order of
  // ticks. The entry is unscheduled by then; the callback may schedule, cancel and destroy any
  // entry, its own included, but not call advance(). A now_ms before the last one changes nothing.
  template <class Callback>
  void advance(std::int64_t now_ms, Callback&& callback) {
    const std::uint64_t target = floor_tick(now_ms);
    if (target <= elapsed_) return;
    TIDEWIRE_CHECK(earliest_ == elapsed_);
    earliest_ = target;
    for (std::optional<Place> place = first_place(); place && place->tick <= target; place = first_place()) {
      elapsed_ = place->tick;
      expire(*place, callback);
    }
    elapsed_ = target;
  }

  // The time by which advance() should be called again: never later than the first entry needs,
  // sometimes earlier. Empty: nothing is scheduled.
  std::optional<std::int64_t> next_deadline_ms() {
    const std::optional<Place> place = first_place();
    if (!place) return std::nullopt;
    return static_cast<std::int64_t>(place->tick) * resolution_ms_;
  }

 private:
  static constexpr unsigned kBits = 6;
  static constexpr unsigned kSlots = 1u << kBits;
  static constexpr unsigned kLevels = 8;
  static constexpr std::uint64_t kLastTick = (std::uint64_t{1} << (kBits * kLevels)) - 1;

  struct Place {
    unsigned level;
    unsigned slot;
    std::uint64_t tick;  // when the slot begins
  };

  std::uint64_t floor_tick(std::int64_t ms) const {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 0) / resolution_ms_);
  }
  std::uint64_t ceiling_tick(std::int64_t ms) const {
    const std::uint64_t tick = floor_tick(ms);
    return tick + (ms > 0 && ms % resolution_ms_ != 0 ? 1 : 0);
  }

  // The level is that of the highest digit in which the deadline differs from the present, so on
  // every level only slots after the present one are in use and no slot ever wraps around.
  void insert(TimerEntry& entry) {
    const auto highest_bit = static_cast<unsigned>(std::bit_width(entry.tick_ ^ elapsed_)) - 1;
    const unsigned level = highest_bit / kBits;
    const unsigned slot = static_cast<unsigned>(entry.tick_ >> (kBits * level)) % kSlots;
    entry.link(slots_[level][slot]);
    used_[level] |= std::uint64_t{1} << slot;
  }

  // Entries leave slots without a word to the wheel, so bits of empty slots are cleared here.
  std::optional<Place> first_place() {
    for (unsigned level = 0; level < kLevels; ++level) {
      while (used_[level] != 0) {
        const auto slot = static_cast<unsigned>(std::countr_zero(used_[level]));
        if (slots_[level][slot] == nullptr) {
          used_[level] &= used_[level] - 1;
          continue;
        }
        const unsigned shift = kBits * level;
        const std::uint64_t above = elapsed_ >> (shift + kBits) << (shift + kBits);
        return Place{level, slot, above | (std::uint64_t{slot} << shift)};
      }
    }
    return std::nullopt;
  }

  template <class Callback>
  void expire(const Place& place, Callback& callback) {
    used_[place.level] &= ~(std::uint64_t{1} << place.slot);
    TimerEntry* rest = slots_[place.level][place.slot];
    slots_[place.level][place.slot] = nullptr;
    rest->previous_next_ = &rest;
    while (rest != nullptr) {
      TimerEntry& entry = *rest;
      entry.unlink();
      if (entry.tick_ <= elapsed_)
        callback(static_cast<Entry&>(entry));
      else
        insert(entry);
    }
  }

  std::int64_t resolution_ms_;
  std::uint64_t elapsed_;   // all ticks up to here have been expired
  std::uint64_t earliest_;  // new entries come after this tick: elapsed_, or the target of advance()
  std::uint64_t used_[kLevels] = {};
  TimerEntry* slots_[kLevels][kSlots] = {};
};

}  // namespace tidewire
