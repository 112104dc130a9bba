// The pure core of the shared limits: buckets and counts of connections by key, for one thread.
//
// An absent entry is a full bucket without connections, so looking never inserts. Owned by whoever
// holds its stripe's lock in SharedLimits.
#pragma once

#include <cstdint>

#include "guard/bounded_table.h"
#include "guard/limit_key.h"
#include "guard/token_bucket.h"

namespace tidewire::guard {

class LimitTable {
 public:
  explicit LimitTable(std::size_t max_entries) : entries_(max_entries) {}

  // How long until the key's bucket has a token; 0 for an empty key.
  std::int64_t wait_ms(const LimitKey& key, const Rate& rate, std::int64_t now_ms);
  // Takes a token, which must be there. Nothing happens with an empty key.
  void take(const LimitKey& key, const Rate& rate, std::int64_t now_ms);

  // Counts a connection, unless there are `most` (0: any number) already; an empty key is not counted
  // and always true.
  bool add_connection(const LimitKey& key, std::int64_t most, std::int64_t now_ms);
  // Takes back one add_connection() that was true.
  void remove_connection(const LimitKey& key);
  std::int64_t connections(const LimitKey& key);

  void sweep(std::int64_t now_ms) { entries_.sweep(now_ms); }
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    TokenBucket bucket;
    std::int64_t full_at_ms = std::numeric_limits<std::int64_t>::min();
    std::uint32_t connections = 0;

    std::int64_t idle_at_ms() const { return connections > 0 ? kPinned : full_at_ms; }
  };
  BoundedTable<Entry> entries_;
};

}  // namespace tidewire::guard
