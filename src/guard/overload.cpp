#include "guard/overload.h"

#include <algorithm>

namespace tidewire::guard {

namespace {
constexpr double kShareGain = 0.02;  // per sample without pressure: all again after five seconds
}

std::string_view name_of(Shedding step) {
  switch (step) {
    case Shedding::calm:
      return "calm";
    case Shedding::no_new_connections:
      return "no_new_connections";
    case Shedding::defer_low_priority:
      return "defer_low_priority";
    case Shedding::shed_publishes:
      break;
  }
  return "shed_publishes";
}

std::optional<Overload::Change> Overload::go(int steps, std::int64_t now_ms) {
  const Shedding from = step_;
  step_ = static_cast<Shedding>(static_cast<int>(step_) + steps);
  if (steps > 0) {
    // It came down too early.
    if (last_fall_ms_ >= 0 && now_ms - last_fall_ms_ <= 2 * fall_after_ms_)
      fall_after_ms_ = std::min(2 * fall_after_ms_, kMostFall_ms);
  } else {
    last_fall_ms_ = now_ms;
  }
  share_ = 1;
  return Change{from, step_};
}

std::optional<Overload::Change> Overload::update(const OverloadLimits& limits, const OverloadSample& sample,
                                                 std::int64_t now_ms) {
  now_ms = std::max(now_ms, last_ms_);
  last_ms_ = now_ms;
  double lag = 0, memory = 0;
  if (limits.max_lag_ms > 0)
    lag = static_cast<double>(sample.lag_us) / (1000.0 * static_cast<double>(limits.max_lag_ms));
  if (limits.max_memory > 0)
    memory = static_cast<double>(sample.memory) / static_cast<double>(limits.max_memory);
  pressure_ = std::max(lag, memory);

  if (pressure_ >= 1) {
    low_since_ms_ = -1;
    if (high_since_ms_ < 0) {
      // A long turn has lasted already. One alone, a pause of the machine say, sheds nothing.
      high_since_ms_ = std::max<std::int64_t>(0, now_ms - std::min(sample.lag_us / 1000, kRise_ms));
      return std::nullopt;
    }
    if (step_ == Shedding::shed_publishes) {
      share_ = std::max(kLeastShare, share_ * std::clamp(1 / pressure_, 0.3, 0.9));
      return std::nullopt;
    }
    // Turns of seconds leave no time for a step a turn.
    const std::int64_t due = (now_ms - high_since_ms_) / kRise_ms;
    if (due == 0) return std::nullopt;
    high_since_ms_ = now_ms;
    const auto left = static_cast<std::int64_t>(Shedding::shed_publishes) - static_cast<std::int64_t>(step_);
    const auto change = go(static_cast<int>(std::min(due, left)), now_ms);
    if (step_ == Shedding::shed_publishes) share_ = std::clamp(1 / pressure_, 0.1, 0.9);
    return change;
  }
  high_since_ms_ = -1;
  if (lag >= kRelief || memory >= kMemoryRelief) {
    low_since_ms_ = -1;
    return std::nullopt;
  }
  if (step_ == Shedding::calm) {
    if (last_fall_ms_ >= 0 && now_ms - last_fall_ms_ > 2 * kMostFall_ms) fall_after_ms_ = kFall_ms;
    return std::nullopt;
  }
  share_ = std::min(1.0, share_ + kShareGain);
  if (low_since_ms_ < 0) low_since_ms_ = now_ms;
  if (publish_share() < 1 || now_ms - low_since_ms_ < fall_after_ms_) return std::nullopt;
  low_since_ms_ = now_ms;
  return go(-1, now_ms);
}

}  // namespace tidewire::guard
