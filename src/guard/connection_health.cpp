#include "guard/connection_health.h"

#include <algorithm>

namespace tidewire::guard {

std::string_view name_of(HealthStatus status) {
  switch (status) {
    case HealthStatus::healthy:
      return "HEALTHY";
    case HealthStatus::degraded:
      return "DEGRADED";
    case HealthStatus::unhealthy:
      break;
  }
  return "UNHEALTHY";
}

namespace {
// 1 at nothing, one half at the limit, 0 at twice the limit.
double part_of(double value, double limit) {
  if (limit <= 0) return value > 0 ? 0 : 1;
  return std::clamp(1 - value / (2 * limit), 0.0, 1.0);
}
}  // namespace

void ConnectionHealth::set_latency(std::int64_t latency_us) {
  const std::int64_t units = std::clamp<std::int64_t>(latency_us / kUnit_us, 0, kUnmeasured - 1);
  latency_ = static_cast<std::uint16_t>(units);
}

void ConnectionHealth::note_round_trip(std::int64_t round_trip_us) {
  round_trip_us = std::clamp<std::int64_t>(round_trip_us, 0, kUnmeasured * kUnit_us);
  silent_looks_ = 0;
  set_latency(latency_ == kUnmeasured ? round_trip_us : (latency_us() + round_trip_us) / 2);
}

void ConnectionHealth::note_waiting(std::int64_t waiting_us) {
  if (waiting_us > latency_us()) set_latency(waiting_us);
}

double ConnectionHealth::error_rate() const {
  const std::uint32_t of = std::max<std::uint32_t>(requests_, kFewRequests);
  return std::min(1.0, static_cast<double>(errors_) / of);
}

ConnectionHealth::Parts ConnectionHealth::parts(const HealthLimits& limits) const {
  Parts parts;
  if (latency_ != kUnmeasured && limits.max_latency_ms > 0)
    parts.latency =
        part_of(static_cast<double>(latency_us()), static_cast<double>(limits.max_latency_ms) * 1000);
  parts.errors = part_of(error_rate(), limits.max_error_rate);
  parts.activity = static_cast<double>(activity_) / 255;
  return parts;
}

bool ConnectionHealth::pass(const HealthLimits& limits) {
  const bool heard = silent_looks_ == 0;
  ever_heard_ = ever_heard_ || heard;
  // Who was never asked, as on an event stream, is not silent.
  if (ever_heard_ && (heard || silent_looks_ > limits.quiet_looks))
    activity_ = static_cast<std::uint8_t>((activity_ + (heard ? 256 : 0)) / 2);
  if (silent_looks_ < kMost) ++silent_looks_;
  const double score = parts(limits).total();
  const HealthStatus before = status_;
  using enum HealthStatus;
  if (score <= kUnhealthyAt)
    status_ = unhealthy;
  else if (status_ == unhealthy)
    status_ = score > kHealthyAbove ? healthy : score > kDegradedAbove ? degraded : unhealthy;
  else if (score <= kDegradedAt)
    status_ = degraded;
  else if (score > kHealthyAbove)
    status_ = healthy;
  requests_ /= 2;
  errors_ /= 2;
  return status_ != before;
}

}  // namespace tidewire::guard
