#include "guard/token_bucket.h"

#include "guard/limits.h"
#include "guard/seeds.h"

namespace tidewire::guard {
namespace {

constexpr Rate kDefault = Rate::per_minute(100, 10);

TEST(TokenBucket, IsFullWhenNew) {
  TokenBucket bucket;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(bucket.take(5, kDefault));
  EXPECT_FALSE(bucket.take(5, kDefault));
  EXPECT_EQ(bucket.retry_after_ms(5, kDefault), 600);
}

TEST(TokenBucket, StartsFullAtAnyTime) {
  for (const std::int64_t now_ms : {std::int64_t{-1'000'000}, std::int64_t{0}, std::int64_t{1} << 50}) {
    TokenBucket bucket;
    EXPECT_EQ(bucket.full_at_ms(now_ms, kDefault), now_ms);
    EXPECT_TRUE(bucket.take(now_ms, kDefault));
    EXPECT_EQ(bucket.full_at_ms(now_ms, kDefault), now_ms + 600);
  }
}

TEST(TokenBucket, NeverExceedsBurstAndRateInAnyWindow) {
  for_seeds(200, [](Dice& dice) {
    const std::int64_t per_minute = dice.roll(1, dice.one_in(2) ? 50 : 5000);
    const std::int64_t burst = dice.roll(1, 60);
    const Rate rate = Rate::per_minute(per_minute, burst);
    TokenBucket bucket;
    std::vector<std::int64_t> taken_ms;
    std::int64_t now_ms = dice.roll(0, 1'000'000);
    for (int i = 0; i < 600; ++i) {
      now_ms += dice.one_in(20) ? dice.roll(0, 60'000) : dice.roll(0, 60'000 / per_minute);
      if (bucket.take(now_ms, rate)) taken_ms.push_back(now_ms);
    }
    for (std::size_t i = 0; i < taken_ms.size(); ++i)
      for (std::size_t j = i; j < taken_ms.size(); ++j)
        ASSERT_LE(static_cast<std::int64_t>(j - i + 1) * 60'000,
                  burst * 60'000 + per_minute * (taken_ms[j] - taken_ms[i]));
  });
}

TEST(TokenBucket, DoesNotDriftHoweverOftenItIsAsked) {
  for_seeds(20, [](Dice& dice) {
    const std::int64_t per_minute = dice.roll(1, 3000);
    // With a burst of one, what a millisecond brings beyond the token it completes finds no room.
    const std::int64_t burst = dice.roll(2, 20);
    const Rate rate = Rate::per_minute(per_minute, burst);
    TokenBucket bucket;
    std::int64_t taken = 0;
    const std::int64_t end_ms = 200'000;
    for (std::int64_t now_ms = 0; now_ms <= end_ms; ++now_ms)
      while (bucket.take(now_ms, rate)) ++taken;
    EXPECT_EQ(taken, burst + per_minute * end_ms / 60'000);
  });
}

TEST(TokenBucket, HasATokenExactlyWhenItSaid) {
  for_seeds(300, [](Dice& dice) {
    const LimitFactor factor = LimitFactor::of(static_cast<double>(dice.roll(500, 1200)) / 1000);
    const Rate rate = Rate::per_minute(dice.roll(1, 10'000), dice.roll(0, 30), factor);
    TokenBucket bucket;
    std::int64_t now_ms = 0;
    for (int i = 0; i < 100; ++i) {
      now_ms += dice.roll(0, 100);
      while (bucket.take(now_ms, rate)) {
      }
      const std::int64_t wait_ms = bucket.retry_after_ms(now_ms, rate);
      ASSERT_GE(wait_ms, 1);
      TokenBucket early = bucket;
      ASSERT_FALSE(early.take(now_ms + wait_ms - 1, rate));
      now_ms += wait_ms;
      ASSERT_EQ(bucket.retry_after_ms(now_ms, rate), 0);
      ASSERT_TRUE(bucket.take(now_ms, rate));
    }
  });
}

TEST(TokenBucket, GainsNothingFromALimitThatFallsAndRises) {
  TokenBucket bucket;
  const Rate low = Rate::per_minute(100, 10, LimitFactor::of(0.5));
  const Rate high = Rate::per_minute(100, 10, LimitFactor::of(1.2));
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += bucket.take(0, i % 2 == 0 ? low : high) ? 1 : 0;
  EXPECT_EQ(taken, 5);
}

TEST(TokenBucket, CountsTimeThatRunsBackwardsAsNone) {
  TokenBucket bucket;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(bucket.take(10'000, kDefault));
  EXPECT_FALSE(bucket.take(9'000, kDefault));
  EXPECT_FALSE(bucket.take(10'000, kDefault));
  EXPECT_TRUE(bucket.take(10'600, kDefault));
}

TEST(TokenBucket, LetsEverythingPassWithoutARate) {
  TokenBucket bucket;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(bucket.take(0, Rate::per_minute(0, 10)));
  EXPECT_EQ(bucket.retry_after_ms(0, Rate::per_minute(0, 0)), 0);
  EXPECT_EQ(bucket.overdraw(0, 1'000'000, Rate{}), 0);
}

TEST(TokenBucket, HasRoomForOneTokenAtLeast) {
  TokenBucket bucket;
  const Rate rate = Rate::per_minute(60, 1, LimitFactor::of(0.5));
  EXPECT_TRUE(bucket.take(0, rate));
  EXPECT_EQ(bucket.retry_after_ms(0, rate), 2000);
  EXPECT_TRUE(bucket.take(2000, rate));
}

TEST(TokenBucket, SurvivesTheLargestNumbers) {
  TokenBucket bucket;
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const Rate rate = Rate::per_minute(most, most, LimitFactor::of(1.2)).times(20);
  EXPECT_TRUE(bucket.take(0, rate));
  for (int i = 0; i < 100; ++i) bucket.overdraw(0, most, rate);
  EXPECT_GT(bucket.retry_after_ms(0, rate), 0);
  EXPECT_TRUE(bucket.take(std::int64_t{1} << 60, rate));
}

TEST(TokenBucket, MakesUpForWhatWasOverdrawn) {
  TokenBucket bucket;
  const Rate rate = Rate::per_minute(600, 10);
  EXPECT_EQ(bucket.overdraw(0, 10, rate), 0);
  EXPECT_EQ(bucket.overdraw(0, 5, rate), 500);
  EXPECT_EQ(bucket.overdraw(500, 0, rate), 0);
  EXPECT_EQ(bucket.overdraw(500, 1, rate), 100);
}

TEST(LimitFactor, StaysWithinItsBounds) {
  EXPECT_EQ(LimitFactor().permille(), 1000);
  EXPECT_EQ(LimitFactor::of(0.1).permille(), 500);
  EXPECT_EQ(LimitFactor::of(9).permille(), 1200);
  EXPECT_EQ(LimitFactor::of(0.755).permille(), 755);
  EXPECT_EQ(LimitFactor::of(std::numeric_limits<double>::quiet_NaN()).permille(), 500);
}

TEST(Limits, GiveFramesTwiceWhatMessagesGet) {
  EXPECT_EQ(Limits().frame_rate().refill_per_ms, Rate::per_minute(12'000, 0).refill_per_ms);
  EXPECT_EQ(Limits().frame_rate().capacity, 1000 * Rate::kToken);
  const Limits busy{.messages_per_minute = 60'000};
  EXPECT_EQ(busy.frame_rate().refill_per_ms, Rate::per_minute(120'000, 0).refill_per_ms);
  EXPECT_EQ(busy.frame_rate().capacity, 10'000 * Rate::kToken);
  EXPECT_TRUE(Limits{.frames_per_second = 0}.frame_rate().off());
}

TEST(Limits, GiveAUserFiveTimesAndAnAddressTwentyTimes) {
  const Limits limits;
  EXPECT_EQ(limits.user_rate().capacity, 50 * Rate::kToken);
  EXPECT_EQ(limits.address_rate().capacity, 200 * Rate::kToken);
  EXPECT_EQ(limits.address_rate().refill_per_ms, 20 * limits.connection_rate().refill_per_ms);
  EXPECT_EQ(limits.user_rate(LimitFactor::of(1.2)).capacity, 60 * Rate::kToken);
}

}  // namespace
}  // namespace tidewire::guard
