// Failed authentication attempts per address (protocol §2).
//
// `auth.attempts_per_minute` failures within a minute start `auth.attempts_penalty`; meanwhile the
// address is blocked, and failures (of connections that were there before) do not lengthen it.
// Afterwards the address starts clean. A success changes nothing: it neither pardons others behind
// the address nor is punished after the penalty. IPv6 counts by /64. Any thread may call: a table
// striped as in shared_limits.h, bounded in memory: an address is forgotten a minute after its last
// failure or at the end of its penalty, and past `max_entries` the one nearest to that is.
#pragma once

#include <cstdint>
#include <memory>

#include "base/ip_address.h"
#include "guard/limit_key.h"
#include "guard/limits.h"

namespace tidewire::guard {

class Attempts {
 public:
  static constexpr std::size_t kMaxEntries = std::size_t{1} << 18;

  // `seed` is this process's secret, as for LimitKeys.
  explicit Attempts(std::uint64_t seed, std::size_t max_entries = kMaxEntries);
  ~Attempts();
  Attempts(const Attempts&) = delete;
  Attempts& operator=(const Attempts&) = delete;

  // Whether the address is in its penalty. If so `retry_after_ms` is what remains (at least 1), else
  // 0: close with 1008 kBlockedReason, or answer 429 with Retry-After.
  bool blocked(const IpAddress& address, std::int64_t now_ms, std::int64_t& retry_after_ms);

  // Notes a failure; true if it is the one that starts a penalty.
  bool record_failure(const IpAddress& address, const Limits& limits, std::int64_t now_ms);

  std::size_t entries();
  // As SharedLimits::sweep().
  void sweep(std::int64_t now_ms);

  static constexpr std::string_view kBlockedReason = "Too many failed connection attempts";

 private:
  class Stripes;
  LimitKeys keys_;
  std::unique_ptr<Stripes> stripes_;
};

}  // namespace tidewire::guard
