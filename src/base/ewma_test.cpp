#include "base/ewma.h"

#include <gtest/gtest.h>

namespace tidewire {
namespace {

TEST(EwmaMean, IsThePlainMeanOfTheFirstSamples) {
  EwmaMean mean(0.1);
  EXPECT_TRUE(mean.empty());
  mean.add(10);
  EXPECT_FALSE(mean.empty());
  EXPECT_DOUBLE_EQ(mean.mean(), 10);
  EXPECT_DOUBLE_EQ(mean.deviation(), 0);
  mean.add(20);
  EXPECT_DOUBLE_EQ(mean.mean(), 15);
  EXPECT_DOUBLE_EQ(mean.deviation(), 5);
}

TEST(EwmaMean, ForgetsWhatWasBefore) {
  EwmaMean mean(0.2);
  for (int i = 0; i < 100; ++i) mean.add(1000);
  for (int i = 0; i < 100; ++i) mean.add(1);
  EXPECT_NEAR(mean.mean(), 1, 0.01);
}

TEST(EwmaMean, WeighsANewSampleWithAlphaOnceSettled) {
  EwmaMean mean(0.25);
  for (int i = 0; i < 1000; ++i) mean.add(0);
  mean.add(100);
  EXPECT_DOUBLE_EQ(mean.mean(), 25);
}

TEST(EwmaMean, MeasuresTheDeviationOfARepeatedPattern) {
  EwmaMean mean(0.01);
  for (int i = 0; i < 10'000; ++i) mean.add(i % 2 == 0 ? 90 : 110);
  EXPECT_NEAR(mean.mean(), 100, 0.5);
  EXPECT_NEAR(mean.deviation(), 10, 0.5);
}

TEST(EwmaRate, ConvergesToTheRateOfSteadyEvents) {
  EwmaRate rate(10'000);
  for (std::int64_t now = 0; now < 100'000; now += 10) rate.add(1, now);
  EXPECT_NEAR(rate.per_second(100'000), 100, 1);
}

TEST(EwmaRate, FallsToOneOverEAfterItsTimeConstant) {
  EwmaRate rate(1000);
  rate.add(10, 0);
  EXPECT_DOUBLE_EQ(rate.per_second(0), 10);
  EXPECT_NEAR(rate.per_second(1000), 10 / 2.718281828, 1e-6);
  EXPECT_NEAR(rate.per_second(100'000), 0, 1e-6);
}

TEST(EwmaRate, IsNotConfusedByAClockThatStepsBack) {
  EwmaRate rate(1000);
  rate.add(1, 5000);
  rate.add(1, 4000);
  EXPECT_DOUBLE_EQ(rate.per_second(4500), 2);
  EXPECT_DOUBLE_EQ(rate.per_second(5000), 2);
}

}  // namespace
}  // namespace tidewire
