// The numbers that the guard goes by, in one place: settings with their defaults, and the constants
// of protocol §2 and §6 that are no settings.
//
// A plain value. A tenant may have its own; whoever asks the guard hands in the one that applies, so
// a reload is an assignment. 0 turns a limit off.
#pragma once

#include <algorithm>
#include <cstdint>

#include "guard/token_bucket.h"

namespace tidewire::guard {

struct Limits {
  std::int64_t messages_per_minute = 100;  // limits.messages_per_minute; counted requests
  std::int64_t burst = 10;                 // limits.burst
  std::int64_t penalty_ms = 60'000;        // limits.penalty; 0: refusals have no consequence
  bool adaptive = true;                    // limits.adaptive
  bool dry_run = false;  // limits.dry_run: judge and count as always, but let everything pass

  std::int64_t connections = 0;              // limits.connections, of the whole node
  std::int64_t tenant_connections = 0;       // tenants.NAME.limits.connections, of the tenant's alone
  std::int64_t connections_per_user = 0;     // limits.connections_per_user
  std::int64_t connections_per_address = 0;  // limits.connections_per_address

  std::int64_t malformed_per_minute = 20;  // limits.malformed_per_minute; this one ends the connection
  std::int64_t frames_per_second = 200;    // limits.frames_per_second

  std::int64_t attempts_per_minute = 10;      // auth.attempts_per_minute, per address
  std::int64_t attempts_penalty_ms = 60'000;  // auth.attempts_penalty

  // Protocol §6: the factor is a user's, so it acts on what is his alone, not on an address that he
  // may share with others.
  constexpr Rate connection_rate(LimitFactor factor = {}) const {
    return Rate::per_minute(messages_per_minute, burst, factor);
  }
  constexpr Rate user_rate(LimitFactor factor = {}) const {
    return connection_rate(factor).times(kUserMultiple);
  }
  constexpr Rate address_rate() const { return connection_rate().times(kAddressMultiple); }
  // Never less than twice what messages_per_minute allows, with five seconds' worth of burst.
  constexpr Rate frame_rate() const {
    if (frames_per_second <= 0) return {};
    const std::int64_t a_minute = std::max(60 * std::min(frames_per_second, Rate::kMost),
                                           2 * std::min(messages_per_minute, Rate::kMost));
    return Rate::per_minute(a_minute, (5 * a_minute + 59) / 60);
  }

  static constexpr std::int64_t kUserMultiple = 5;
  static constexpr std::int64_t kAddressMultiple = 20;
  static constexpr std::int64_t kRefusalsToPenalty = 3;
  static constexpr std::int64_t kRefusalWindow_ms = 10'000;
  static constexpr std::int64_t kPenaltiesToClose = 3;
  static constexpr std::int64_t kPenaltyWindow_ms = 600'000;
  static constexpr std::int64_t kMinute_ms = 60'000;
  static constexpr std::int64_t kAuthMessagesPerMinute = 10;
};

}  // namespace tidewire::guard
