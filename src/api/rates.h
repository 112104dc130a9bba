// Messages per second, from counters that only rise, looked at every now and then. Owned by one thread.
#pragma once

#include <cstdint>

#include "hub/messages.h"

namespace tidewire::api {

class Rates {
 public:
  struct PerSecond {
    double messages_in = 0, messages_out = 0, bytes_in = 0, bytes_out = 0;
  };

  explicit Rates(std::int64_t now_us) : before_{.at_us = now_us}, last_{.at_us = now_us} {}

  // Takes a sample, unless the last one is younger than kSpacing_us.
  void sample(const hub::ShardCounts& counts, std::int64_t now_us);
  // Since the sample before the last one, so over at least kSpacing_us once the server has run for so long.
  PerSecond per_second(const hub::ShardCounts& counts, std::int64_t now_us) const;

  static constexpr std::int64_t kSpacing_us = 5'000'000;

 private:
  struct Sample {
    std::int64_t at_us = 0;
    std::uint64_t messages_in = 0, messages_out = 0, bytes_in = 0, bytes_out = 0;
  };
  Sample before_;
  Sample last_;
};

}  // namespace tidewire::api
