#include "base/histogram.h"

#include <gtest/gtest.h>

#include <vector>

namespace tidewire {
namespace {

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.percentile_us(99), 0u);
  EXPECT_EQ(histogram.count_at_most(1'000'000), 0u);
}

TEST(Histogram, KeepsSmallValuesExactly) {
  Histogram histogram;
  for (int value = 1; value <= 10; ++value) histogram.record(value);
  EXPECT_EQ(histogram.percentile_us(0), 1u);
  EXPECT_EQ(histogram.percentile_us(50), 5u);
  EXPECT_EQ(histogram.percentile_us(90), 9u);
  EXPECT_EQ(histogram.percentile_us(91), 10u);
  EXPECT_EQ(histogram.percentile_us(100), 10u);
  EXPECT_EQ(histogram.max_us(), 10u);
  EXPECT_EQ(histogram.sum_us(), 55u);
}

TEST(Histogram, IsNeverBelowAndAtMostASixteenthAboveTheTruth) {
  for (std::uint64_t value = 1; value < (std::uint64_t{1} << 36); value = value * 3 / 2 + 1) {
    Histogram histogram;
    histogram.record(static_cast<std::int64_t>(value));
    histogram.record(std::int64_t{1} << 36);  // so that the maximum does not hide the bucket's bound
    const std::uint64_t found = histogram.percentile_us(50);
    EXPECT_GE(found, value);
    EXPECT_LE(found, value + value / 16);
  }
}

TEST(Histogram, CountsNegativeValuesAsZeroAndHugeOnesInTheLastBucket) {
  Histogram histogram;
  histogram.record(-5);
  EXPECT_EQ(histogram.percentile_us(100), 0u);
  histogram.record(std::int64_t{1} << 60);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.percentile_us(100), std::uint64_t{1} << 60);
}

TEST(Histogram, MergesAsIfOneHadSeenEverything) {
  Histogram a, b, both;
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t value = i * i % 7919 * 13;
    (i % 3 == 0 ? a : b).record(value);
    both.record(value);
  }
  a.merge(b);
  EXPECT_EQ(a, both);
  a.clear();
  EXPECT_EQ(a, Histogram{});
}

TEST(Histogram, RecordsOneValueManyTimes) {
  Histogram once, many;
  for (int i = 0; i < 50; ++i) once.record(700);
  many.record(700, 50);
  EXPECT_EQ(once, many);
}

TEST(Histogram, CountsCumulativelyAndNeverTooMany) {
  Histogram histogram;
  for (int value = 1; value <= 1000; ++value) histogram.record(value);
  std::uint64_t before = 0;
  for (std::uint64_t bound = 0; bound <= 1100; bound += 7) {
    const std::uint64_t found = histogram.count_at_most(bound);
    EXPECT_GE(found, before);
    EXPECT_LE(found, std::min<std::uint64_t>(bound, 1000));
    before = found;
  }
  EXPECT_EQ(histogram.count_at_most(1100), 1000u);
}

}  // namespace
}  // namespace tidewire
