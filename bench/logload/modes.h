// The modes, and what their runs share.
#pragma once

#include "figures.h"
#include "loop.h"

namespace logload {

// Each runs to its end, prints its line of JSON, and returns the program's exit code.
int run_publish(const Options& options);
int run_fill(const Options& options);
int run_resume(const Options& options);
int run_catchup(const Options& options);

inline std::uint64_t seconds(double value) { return static_cast<std::uint64_t>(value * 1e9); }

inline void turn_until(Loop& loop, std::uint64_t end_ns) {
  for (std::uint64_t now = now_ns(); now < end_ns; now = now_ns())
    loop.turn(std::min<std::uint64_t>(end_ns - now, 10'000'000));
}

// Positions of channels 0, 1, 2 ... as `fill` wrote them.
std::vector<std::string> positions_of(const Options& options);

// Whether a reader has had every number once and in order.
struct Order {
  std::uint64_t next = 1;
  std::uint64_t lost = 0;
  std::uint64_t repeated = 0;
  void see(std::uint64_t number) {
    if (number < next) {
      ++repeated;
      return;
    }
    lost += number - next;
    next = number + 1;
  }
};

// Adds what was refused, prints the line and the first complaint.
int finish(const Loop& loop, Json& json, bool failed);

}  // namespace logload
