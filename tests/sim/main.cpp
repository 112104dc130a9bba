// The simulator: runs the hub in worlds made from seeds (tests/sim/world.h), and says which seed broke a
// rule.
//
//   sim --seed N [--steps M] [--verbose]     one world; with --verbose all that happened in it
//   sim --seeds A..B [--steps M]             many, until one fails

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "world.h"

namespace {

using tidewire::sim::Failure;
using tidewire::sim::World;

std::uint64_t running = 0;

void on_abort(int) {
  std::fprintf(stderr, "seed %llu ended the process\n", static_cast<unsigned long long>(running));
  std::_Exit(1);
}

struct Sum {
  std::uint64_t messages = 0, gaps = 0, replies = 0, snapshots = 0;
};

bool run(std::uint64_t seed, std::size_t steps, std::size_t keep_events, Sum& sum) {
  running = seed;
  World world(seed, steps, keep_events);
  bool good = true;
  try {
    world.run();
  } catch (const std::exception& failure) {
    good = false;
    if (keep_events > 0) fmt::print(stderr, "seed {} failed: {}\n", seed, failure.what());
  }
  sum.messages += world.messages_seen;
  sum.gaps += world.gaps_seen;
  sum.replies += world.replies_seen;
  sum.snapshots += world.snapshots_seen;
  if (keep_events > 0)
    for (const std::string& line : world.journal.lines()) fmt::print(stderr, "{}\n", line.substr(0, 400));
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t first = 1, last = 1;
  std::size_t steps = 1000;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--verbose") {
      verbose = true;
      continue;
    }
    ++i;
    if (flag == "--seed") {
      first = last = std::strtoull(value, nullptr, 10);
    } else if (flag == "--steps") {
      steps = std::strtoull(value, nullptr, 10);
    } else if (const char* dots = std::strstr(value, ".."); flag == "--seeds" && dots != nullptr) {
      first = std::strtoull(value, nullptr, 10);
      last = std::strtoull(dots + 2, nullptr, 10);
    } else {
      fmt::print(stderr, "usage: sim --seed N | --seeds A..B [--steps M] [--verbose]\n");
      return 2;
    }
  }
  std::signal(SIGABRT, on_abort);
  constexpr std::size_t kLastEvents = 60, kAllEvents = 1'000'000;
  Sum sum;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    if (run(seed, steps, verbose ? kAllEvents : 0, sum)) continue;
    if (!verbose) run(seed, steps, kLastEvents, sum);  // the same again, and what happened
    return 1;
  }
  fmt::print("{} worlds held: {} replies, {} messages, {} snapshots, {} gaps\n", last - first + 1,
             sum.replies, sum.messages, sum.snapshots, sum.gaps);
}
