// When to read a tenant's JWKS URL, and what to make of the answer (protocol §9, `auth.jwks_*`).
//
// A state machine without I/O: the owner asks at each turn whether a fetch is due, carries it out, and
// reports the end. At most one fetch is under way; a failed one leaves the keys as they were. Owned by
// one thread, which passes new rings on to the Verifiers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/key_ring.h"
#include "base/time.h"

namespace tidewire::auth {

struct JwksRefresherOptions {
  std::int64_t refresh_ms = 15 * 60 * 1000;  // auth.jwks_refresh
  std::int64_t min_refresh_ms = 5 * 1000;    // auth.jwks_min_refresh
  std::int64_t max_backoff_ms = 5 * 60 * 1000;
};

class JwksRefresher {
 public:
  // `ring` holds the static keys, in JwksState::never_fetched. The first fetch is due at once.
  JwksRefresher(JwksRefresherOptions options, std::shared_ptr<const KeyRing> ring);

  // A token named a key that the ring does not have. `wait`: a fetch is under way or due now; verify
  // once more when it has ended. `give_up`: the last one began less than min_refresh ago.
  enum class Demand : std::uint8_t { wait, give_up };
  Demand need_keys(Time now);

  // The monotonic time of the next fetch; INT64_MAX while one is under way.
  std::int64_t due_at_us() const;
  bool due(Time now) const { return now.mono_us >= due_at_us(); }

  // The owner starts a fetch, which ends in exactly one of the two below.
  void started(Time now);

  struct Update {
    bool read = false;                      // false: the body was no JWK Set, and counts as a failure
    bool changed = false;                   // the ring is another one: pass it on
    std::vector<std::string> remarks = {};  // for the log: why it is no set, or which keys were left out
  };
  Update fetched(std::string_view body, Time now);
  void failed(Time now);

  // Not now, though it is due: the next fetch is due then.
  void postpone(std::int64_t until_us) { next_us_ = until_us; }

  // The present ring; keys outlive failures.
  const std::shared_ptr<const KeyRing>& ring() const { return ring_; }

  // What to tell a client whose token waits for keys that can't be had: until the next try, at least 1.
  std::int64_t retry_after_ms(Time now) const;

  // Fetches that failed since the last good one, for health.
  std::uint32_t failures() const { return failures_; }

 private:
  JwksRefresherOptions options_;
  std::shared_ptr<const KeyRing> ring_;
  bool under_way_ = false;
  std::int64_t last_started_us_ = 0;
  std::int64_t next_us_ = INT64_MIN;
  std::uint32_t failures_ = 0;
};

}  // namespace tidewire::auth
