// The simulated clock: things to do, each at its time; equal times in the order of planning.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "base/time.h"

namespace tidewire::sim {

class Schedule {
 public:
  std::int64_t now_us() const { return now_us_; }
  Time now() const { return at_time(now_us_); }
  // The clock that the hub sees at a simulated moment.
  static Time at_time(std::int64_t us) {
    return {.mono_us = 5'000'000 + us, .unix_ms = kEpochMs + us / 1000};
  }
  static std::int64_t moment_of_mono_ms(std::int64_t mono_ms) { return mono_ms * 1000 - 5'000'000; }

  void after(std::int64_t us, std::function<void()> what) { at(now_us_ + us, std::move(what)); }
  void at(std::int64_t us, std::function<void()> what) {
    plans_.push({us < now_us_ ? now_us_ : us, next_++, std::move(what)});
  }

  // Does what is due until then; the clock stands there afterwards.
  void run_until(std::int64_t us) {
    while (!plans_.empty() && plans_.top().at_us <= us) {
      now_us_ = plans_.top().at_us;
      const auto what = std::move(const_cast<Plan&>(plans_.top()).what);
      plans_.pop();
      what();
    }
    now_us_ = us;
  }

 private:
  static constexpr std::int64_t kEpochMs = 1'762'907'000'000;
  struct Plan {
    std::int64_t at_us;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const Plan& other) const {
      return at_us != other.at_us ? at_us > other.at_us : order > other.order;
    }
  };
  std::int64_t now_us_ = 0;
  std::uint64_t next_ = 0;
  std::priority_queue<Plan> plans_;
};

}  // namespace tidewire::sim
