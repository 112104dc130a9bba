#include "guard/shared_overload.h"

#include <algorithm>

#include "base/check.h"

namespace tidewire::guard {

void SharedOverload::report(std::size_t shard, std::int64_t longest_turn_us, std::int64_t waited_us,
                            std::int64_t now_ms) {
  TIDEWIRE_CHECK(shard < kMostShards);
  Report& report = reports_[shard];
  const std::int64_t before_ms = report.at_ms.load(std::memory_order_relaxed);
  const bool keeps_up = before_ms >= 0 && waited_us * kWaitsOf >= (now_ms - before_ms) * 1000;
  report.longest_turn_us.store(longest_turn_us, std::memory_order_relaxed);
  report.keeps_up.store(keeps_up, std::memory_order_relaxed);
  report.at_ms.store(now_ms, std::memory_order_relaxed);
}

std::optional<Overload::Change> SharedOverload::judge(const OverloadLimits& limits,
                                                      const std::function<std::int64_t()>& memory,
                                                      std::int64_t now_ms) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || (judged_ms_ >= 0 && now_ms - judged_ms_ < kSample_ms)) return std::nullopt;
  OverloadSample sample;
  for (std::size_t i = 0; i < kMostShards; ++i) {
    const std::int64_t at_ms = reports_[i].at_ms.load(std::memory_order_relaxed);
    if (at_ms < 0) break;
    // Two samples' time may pass between two reports of a shard that is well.
    const std::int64_t silent_us = (now_ms - at_ms - 2 * kSample_ms) * 1000;
    if (at_ms <= judged_ms_ && silent_us < 0) return std::nullopt;
    sample.lag_us = std::max(sample.lag_us, silent_us);
    if (overload_.step() != Shedding::calm || !reports_[i].keeps_up.load(std::memory_order_relaxed))
      sample.lag_us = std::max(sample.lag_us, reports_[i].longest_turn_us.load(std::memory_order_relaxed));
  }
  judged_ms_ = now_ms;
  if (limits.max_memory > 0) sample.memory = memory();
  const auto change = overload_.update(limits, sample, now_ms);
  step_.store(static_cast<int>(overload_.step()), std::memory_order_relaxed);
  share_.store(overload_.publish_share(), std::memory_order_relaxed);
  pressure_.store(overload_.pressure(), std::memory_order_relaxed);
  return change;
}

}  // namespace tidewire::guard
