// A small generator of unpredictable-enough names (splitmix64), seeded by whoever owns it, so that a
// simulation repeats from its seed. Not for secrets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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
  // Thirteen characters for 64 bits: with sixteen a std::string would need memory of its own.
  std::string name() {
    static constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuv";
    std::string name(13, '0');
    std::uint64_t bits = next();
    for (char& digit : name) {
      digit = kDigits[bits % kDigits.size()];
      bits /= kDigits.size();
    }
    return name;
  }

 private:
  std::uint64_t state_;
};

}  // namespace tidewire
