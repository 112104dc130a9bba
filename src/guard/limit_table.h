// The pure core of the shared limits: buckets and counts of connections by key, for one thread.
//
// An absent bucket is a full one and an absent count is 0, so looking never inserts. They lie apart: a
// user who is connected and silent has a small count and no bucket. Owned by whoever holds its stripe's
// lock in SharedLimits.
#pragma once

#include <cstdint>

#include "guard/bounded_table.h"
#include "guard/limit_key.h"
#include "guard/token_bucket.h"

namespace tidewire::guard {

class LimitTable {
 public:
  explicit LimitTable(std::size_t max_entries) : buckets_(max_entries), connections_(max_entries) {}

  // How long until the key's bucket has a token; 0 for an empty key.
  std::int64_t wait_ms(const LimitKey& key, const Rate& rate, std::int64_t now_ms);
  // Takes a token, which must be there. Nothing happens with an empty key.
  void take(const LimitKey& key, const Rate& rate, std::int64_t now_ms);

  // The key's bucket, before it is asked; any thread.
  void prefetch(const LimitKey& key) const { buckets_.prefetch(key); }

  // Counts a connection, unless there are `most` (0: any number) already; an empty key is not counted
  // and always true.
  bool add_connection(const LimitKey& key, std::int64_t most, std::int64_t now_ms);
  // Takes back one add_connection() that was true.
  void remove_connection(const LimitKey& key);
  std::int64_t connections(const LimitKey& key);

  void sweep(std::int64_t now_ms) {
    buckets_.sweep(now_ms);
    connections_.sweep(now_ms);
  }
  std::size_t size() const { return buckets_.size() + connections_.size(); }

 private:
  static constexpr std::int64_t kIdle = std::numeric_limits<std::int64_t>::min();
  struct Bucket {
    TokenBucket bucket;
    std::int64_t full_at_ms = kIdle;
    std::int64_t idle_at_ms() const { return full_at_ms; }
  };
  struct Count {
    std::uint32_t connections = 0;
    std::int64_t idle_at_ms() const { return connections > 0 ? kPinned : kIdle; }
  };
  BoundedTable<Bucket> buckets_;
  BoundedTable<Count> connections_;
};

}  // namespace tidewire::guard
