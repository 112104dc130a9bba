// The limits that span shards: request rates per user and per address, and counts of connections.
//
// A user's connections lie on several shards, so this is the one structure that shards share. It is
// exact (no share per shard, no message late), which takes a lock: one per stripe of the table, held
// for a few dozen instructions, and uncontended unless two shards serve one user in the same moment.
// Where a request concerns two stripes both are locked, in the order of their indices. Every function
// may be called from any thread. Memory: an entry whose bucket is full and that counts no connection
// says nothing and goes; past `max_entries` the ones that are nearest to that go.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "guard/dry_run.h"
#include "guard/limit_key.h"
#include "guard/limits.h"
#include "guard/request_limiter.h"
#include "guard/shared_overload.h"
#include "guard/user_records.h"

namespace tidewire::guard {

class Anomalies;

// The shared buckets of one connection or HTTP call; an empty key is not counted.
struct SharedKeys {
  LimitKey user;
  LimitKey address;
};

enum class Admission : std::uint8_t {
  admitted,
  server_full,   // limits.connections: 503
  tenant_full,   // the same of the tenant
  address_full,  // limits.connections_per_address: 429
  user_full      // limits.connections_per_user: `connection_limit`
};

class SharedLimits {
 public:
  static constexpr std::size_t kMaxEntries = std::size_t{1} << 20;

  explicit SharedLimits(std::size_t max_entries = kMaxEntries);
  ~SharedLimits();
  SharedLimits(const SharedLimits&) = delete;
  SharedLimits& operator=(const SharedLimits&) = delete;

  // Counts one request against the user and the address (protocol §6). 0: a token was taken from both
  // (with Spend::look: would have been). Else nothing was taken, and this is the longer wait in ms.
  // A connection's requests come here through RequestLimiter::check().
  std::int64_t spend(Spend spend, const SharedKeys& keys, const Limits& limits, LimitFactor factor,
                     std::int64_t now_ms);

  // Soon spend() is called with these keys: brings what it needs from memory, while other work is done.
  void prefetch(const SharedKeys& keys) const;

  // Who makes a request that has no connection of its own: an HTTP call with a user's token, a stream.
  struct Alone {
    SharedKeys keys;
    std::string_view tenant, user;  // names; no user: anonymous
    bool slowed = false;            // by what follows an anomaly: half of the rate
  };
  // The same for such a request: by the user's record, which learns from it. With `limits.dry_run` it is
  // judged and noted, and the answer is 0.
  std::int64_t spend_alone(const Alone& who, const Limits& limits, std::int64_t now_ms);

  // A connection from this address to this tenant: anything but `user_full`. Where it was admitted, and
  // only there, release_connection() follows once.
  Admission admit_connection(const LimitKey& address, const LimitKey& tenant, const Limits& limits,
                             std::int64_t now_ms);
  void release_connection(const LimitKey& address, const LimitKey& tenant);

  // A connection that has become this user's: `admitted` or `user_full`; then release_user() once.
  Admission admit_user(const LimitKey& user, const Limits& limits, std::int64_t now_ms);
  // One that was there when the limit came: counted however many there are. release_user() follows too.
  void count_user(const LimitKey& user, std::int64_t now_ms);
  void release_user(const LimitKey& user);

  // What shards share of the anomaly detection.
  Anomalies& anomalies() const { return *anomalies_; }

  std::int64_t connections() const { return connections_.load(std::memory_order_relaxed); }
  // Live connections under this key.
  std::int64_t connections_of(const LimitKey& key);
  std::size_t entries();

  // Drops what says nothing any more from one stripe, the next one each time; tens of microseconds.
  // Call it about once a second, so that memory falls again when traffic has ended.
  void sweep(std::int64_t now_ms);

  // What else of the guard all shards share.
  UserRecords& records() { return records_; }
  SharedOverload& overload() { return overload_; }
  const SharedOverload& overload() const { return overload_; }
  DryRun& dry_run() { return dry_run_; }

 private:
  class Stripes;
  std::unique_ptr<Stripes> stripes_;
  std::unique_ptr<Anomalies> anomalies_;
  std::atomic<std::int64_t> connections_{0};
  UserRecords records_;
  SharedOverload overload_;
  DryRun dry_run_;
};

}  // namespace tidewire::guard
