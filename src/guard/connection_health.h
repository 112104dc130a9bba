// How well a connection is (requirement P6), in twelve bytes: measured round trips, requests and the
// errors among them, and signs of life, judged once every `health.interval`.
//
// score = 0.5 latency + 0.3 errors + 0.2 activity, each part from 0 (worst) to 1; 1 where nothing has
// been measured. Latency and errors reach 0 at twice their limit. Activity falls only at looks before
// which a sign of life was due and did not come, so an idle peer that answers its pings has a steady
// score however often it is looked at. The states have hysteresis: a connection gets worse below a bound
// and better only clearly above it. Pure; owned by the connection's shard.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace tidewire::guard {

enum class HealthStatus : std::uint8_t { healthy, degraded, unhealthy };
inline constexpr std::size_t kHealthStatuses = 3;
// "HEALTHY", "DEGRADED", "UNHEALTHY".
std::string_view name_of(HealthStatus status);

struct HealthLimits {
  std::int64_t max_latency_ms = 500;  // health.max_latency; 0: latency says nothing
  double max_error_rate = 0.1;        // health.max_error_rate
  // Looks in a row that may pass without a sign of life.
  std::uint16_t quiet_looks = 1;

  // An idle peer is heard once a heartbeat, and a quarter of one later where the network dawdles.
  static std::uint16_t quiet_looks_of(std::int64_t interval_ms, std::int64_t heartbeat_ms) {
    const std::int64_t looks = 5 * heartbeat_ms / (4 * std::max<std::int64_t>(interval_ms, 1));
    return static_cast<std::uint16_t>(std::clamp<std::int64_t>(looks, 0, 0xFFFF));
  }
};

class ConnectionHealth {
 public:
  // Bounds of the score: at or below the first of a pair it gets worse, above the second better.
  static constexpr double kDegradedAt = 0.75, kHealthyAbove = 0.8;
  static constexpr double kUnhealthyAt = 0.5, kDegradedAbove = 0.55;
  // So few requests are taken as so many, or one mistake would be a rate of 1.
  static constexpr std::uint32_t kFewRequests = 10;

  // Also a sign of life.
  void note_request() {
    silent_looks_ = 0;
    if (requests_ < kMost) ++requests_;
  }
  void note_error() {
    if (errors_ < kMost) ++errors_;
  }
  // A ping came back after so long; also a sign of life. Half old, half new.
  void note_round_trip(std::int64_t round_trip_us);
  // A ping that has been under way for so long already: counts where it is worse than what is known.
  void note_waiting(std::int64_t waiting_us);

  struct Parts {
    double latency = 1, errors = 1, activity = 1;
    double total() const { return 0.5 * latency + 0.3 * errors + 0.2 * activity; }
  };
  Parts parts(const HealthLimits& limits) const;

  // Once per health.interval: judges, and lets half of what was counted go. True when the status changed.
  bool pass(const HealthLimits& limits);

  HealthStatus status() const { return status_; }
  // -1: not measured yet.
  std::int64_t latency_us() const { return latency_ == kUnmeasured ? -1 : std::int64_t{latency_} * kUnit_us; }
  double error_rate() const;

 private:
  static constexpr std::uint16_t kMost = 0xFFFF;
  static constexpr std::uint16_t kUnmeasured = 0xFFFF;
  static constexpr std::int64_t kUnit_us = 250;  // up to 16 s

  void set_latency(std::int64_t latency_us);

  std::uint16_t latency_ = kUnmeasured;
  std::uint16_t requests_ = 0;
  std::uint16_t errors_ = 0;
  std::uint16_t silent_looks_ = 1;  // since the last sign of life; the one to come included
  std::uint8_t activity_ = 255;     // of 255
  bool ever_heard_ = false;
  HealthStatus status_ = HealthStatus::healthy;
};
static_assert(sizeof(ConnectionHealth) == 12);

}  // namespace tidewire::guard
