// Latencies in a fixed number of log-linear buckets: 16 per power of two, so a percentile is at most
// 6.25 % above the truth. 0 to about 19 hours in microseconds; what is longer counts in the last one.
//
// 4 KiB, no allocation, no atomics; owned by one thread. Two of them merge by adding.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace tidewire {

class Histogram {
 public:
  // Negative values (a clock that stepped back) count as 0.
  void record(std::int64_t value_us, std::uint64_t times = 1) {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(value_us, 0));
    counts_[index_of(value)] += times;
    count_ += times;
    sum_us_ += value * times;
    max_us_ = std::max(max_us_, value);
  }

  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_us_ += other.sum_us_;
    max_us_ = std::max(max_us_, other.max_us_);
  }

  void clear() { *this = Histogram{}; }

  std::uint64_t count() const { return count_; }
  std::uint64_t sum_us() const { return sum_us_; }
  std::uint64_t max_us() const { return max_us_; }

  // The value that `percent` (0 to 100) of all samples do not exceed; 0 when empty.
  std::uint64_t percentile_us(double percent) const {
    if (count_ == 0) return 0;
    const double exact = std::clamp(percent, 0.0, 100.0) / 100.0 * static_cast<double>(count_);
    auto wanted = static_cast<std::uint64_t>(exact);
    if (static_cast<double>(wanted) < exact || wanted == 0) ++wanted;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (seen >= wanted) return i + 1 == kBuckets ? max_us_ : std::min(upper_bound_of(i), max_us_);
    }
    return max_us_;
  }

  // Samples in buckets that end at or below `bound_us`: never more than are really there.
  std::uint64_t count_at_most(std::uint64_t bound_us) const {
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets && upper_bound_of(i) <= bound_us; ++i) seen += counts_[i];
    return seen;
  }

  friend bool operator==(const Histogram&, const Histogram&) = default;

 private:
  static constexpr unsigned kSubBits = 4;
  static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
  static constexpr unsigned kTopBit = 35;
  static constexpr std::size_t kBuckets = (kTopBit - kSubBits + 2) * kSub;

  // Below kSub every value has its own bucket; above, the leading bit and the four behind it decide.
  static constexpr std::size_t index_of(std::uint64_t value) {
    if (value < kSub) return static_cast<std::size_t>(value);
    const unsigned top = static_cast<unsigned>(std::bit_width(value)) - 1;
    if (top > kTopBit) return kBuckets - 1;
    return (top - kSubBits) * kSub + static_cast<std::size_t>(value >> (top - kSubBits));
  }
  static constexpr std::uint64_t upper_bound_of(std::size_t index) {
    if (index < 2 * kSub) return index;
    const unsigned shift = static_cast<unsigned>(index / kSub) - 1;
    return ((std::uint64_t{kSub + index % kSub} + 1) << shift) - 1;
  }

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_us_ = 0;
  std::uint64_t max_us_ = 0;
};

}  // namespace tidewire
