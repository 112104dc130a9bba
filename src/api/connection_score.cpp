#include "api/connection_score.h"

#include <algorithm>

namespace tidewire::api {

namespace {
constexpr double kHealthyAbove = 0.75;
constexpr double kDegradedAbove = 0.5;
}  // namespace

std::string_view ConnectionScore::status() const {
  if (total() > kHealthyAbove) return "HEALTHY";
  return total() > kDegradedAbove ? "DEGRADED" : "UNHEALTHY";
}

ConnectionScore score_of(std::int64_t round_trip_us, std::int64_t max_latency_ms) {
  ConnectionScore score;
  if (round_trip_us < 0 || max_latency_ms <= 0) return score;
  const double worst_us = 2.0 * static_cast<double>(max_latency_ms) * 1000.0;
  score.latency = std::clamp(1.0 - static_cast<double>(round_trip_us) / worst_us, 0.0, 1.0);
  return score;
}

}  // namespace tidewire::api
