// Averages that forget: a mean over samples and a rate over time, both with exponential decay.
//
// Plain values of a few words, owned by one thread; `now` is an argument.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tidewire {

// The mean of samples, each new one weighing `alpha` (0 to 1). The first ones are averaged plainly, so
// that the start value does not linger.
class EwmaMean {
 public:
  explicit EwmaMean(double alpha) : alpha_(alpha) {}

  void add(double sample) {
    if (samples_ < kCountedSamples) ++samples_;
    const double weight = std::max(alpha_, 1.0 / static_cast<double>(samples_));
    const double delta = sample - mean_;
    mean_ += weight * delta;
    variance_ = (1 - weight) * (variance_ + weight * delta * delta);
  }

  bool empty() const { return samples_ == 0; }
  double mean() const { return mean_; }
  double deviation() const { return std::sqrt(variance_); }

 private:
  static constexpr std::uint32_t kCountedSamples = 1'000'000;
  double alpha_;
  double mean_ = 0;
  double variance_ = 0;
  std::uint32_t samples_ = 0;
};

// Events per second, of which those `time_constant_ms` ago weigh 1/e.
class EwmaRate {
 public:
  explicit EwmaRate(std::int64_t time_constant_ms)
      : time_constant_ms_(static_cast<double>(std::max<std::int64_t>(time_constant_ms, 1))) {}

  // A time before the last one counts as the last one.
  void add(double events, std::int64_t now_ms) {
    weight_ = decayed(now_ms) + events;
    last_ms_ = std::max(last_ms_, now_ms);
  }

  double per_second(std::int64_t now_ms) const { return decayed(now_ms) * 1000.0 / time_constant_ms_; }

 private:
  double decayed(std::int64_t now_ms) const {
    const auto elapsed_ms = static_cast<double>(std::max<std::int64_t>(now_ms - last_ms_, 0));
    return weight_ * std::exp(-elapsed_ms / time_constant_ms_);
  }

  double time_constant_ms_;
  double weight_ = 0;
  std::int64_t last_ms_ = 0;
};

}  // namespace tidewire
