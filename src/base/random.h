// A small generator of unpredictable-enough names (splitmix64), seeded by whoever owns it, so that a
// simulation repeats from its seed. Not for secrets.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace tidewire {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // Uniform enough in [0, bound) for scheduling and tests; bound > 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  // Sixteen hexadecimal digits.
  std::string name() { return fmt::format("{:016x}", next()); }

 private:
  std::uint64_t state_;
};

}  // namespace tidewire
