// Time as a value. Nothing below `net` reads a clock: `now` is an argument everywhere, so every rule
// can be tested and simulated. A loop reads the clocks once a turn.
#pragma once

#include <cstdint>

namespace tidewire {

struct Time {
  std::int64_t mono_us = 0;  // monotonic, for durations and deadlines; origin unspecified
  std::int64_t unix_ms = 0;  // wall clock, for timestamps on the wire and token times

  std::int64_t mono_ms() const { return mono_us / 1000; }
};

// The clocks of this machine. Called by `net` and by programs' main functions only.
Time read_clocks();

}  // namespace tidewire
