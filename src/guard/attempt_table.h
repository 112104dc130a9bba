// The pure core of Attempts: failures and penalties by key, for one thread. Owned by whoever holds
// its stripe's lock.
#pragma once

#include <cstdint>

#include "guard/bounded_table.h"
#include "guard/event_window.h"
#include "guard/limits.h"

namespace tidewire::guard {

class AttemptTable {
 public:
  explicit AttemptTable(std::size_t max_entries) : entries_(max_entries) {}

  // What remains of the key's penalty; 0 if it has none.
  std::int64_t blocked_for_ms(const LimitKey& key, std::int64_t now_ms);
  // True if this failure starts a penalty.
  bool record_failure(const LimitKey& key, const Limits& limits, std::int64_t now_ms);

  void sweep(std::int64_t now_ms) { entries_.sweep(now_ms); }
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    EventWindow failures;  // empty during a penalty and right after it
    std::int64_t penalty_until_ms = std::numeric_limits<std::int64_t>::min();

    std::int64_t idle_at_ms() const;
  };
  BoundedTable<Entry> entries_;
};

}  // namespace tidewire::guard
