// For tests: runs a property over many seeds, and names the seed at which it fails.
//
// TIDEWIRE_TEST_SEED=n runs that one alone. Without it the seeds are fixed, so a red build is the
// same build for everyone.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <random>

namespace tidewire::guard {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  // From `low` to `high`, both included.
  std::int64_t roll(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool one_in(std::int64_t n) { return roll(1, n) == 1; }

 private:
  std::mt19937_64 engine_;
};

template <class Property>
void for_seeds(std::uint64_t count, Property&& property) {
  const char* chosen = std::getenv("TIDEWIRE_TEST_SEED");
  const std::uint64_t first = chosen ? std::strtoull(chosen, nullptr, 10) : 1;
  for (std::uint64_t seed = first; seed < first + (chosen ? 1 : count); ++seed) {
    SCOPED_TRACE(testing::Message() << "TIDEWIRE_TEST_SEED=" << seed);
    Dice dice(seed);
    property(dice);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace tidewire::guard
