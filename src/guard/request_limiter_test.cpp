#include "guard/request_limiter.h"

#include "guard/seeds.h"

namespace tidewire::guard {
namespace {

using Kind = RequestVerdict::Kind;

RequestVerdict refused(std::int64_t retry_after_ms) {
  return {.kind = Kind::refused, .retry_after_ms = retry_after_ms};
}
RequestVerdict closed(std::int64_t retry_after_ms) {
  return {.kind = Kind::refused_and_close, .retry_after_ms = retry_after_ms};
}
void use_up(RequestLimiter& limiter, const Limits& limits, std::int64_t now_ms) {
  for (std::int64_t i = 0; i < limits.burst; ++i) {
    ASSERT_EQ(limiter.check(limits, now_ms), RequestVerdict{}) << i;
  }
}

TEST(RequestLimiter, AnswersWithTheTimeUntilTheNextToken) {
  const Limits limits;
  RequestLimiter limiter;
  use_up(limiter, limits, 0);
  EXPECT_EQ(limiter.check(limits, 0), refused(600));
  EXPECT_EQ(limiter.check(limits, 250), refused(350));
  EXPECT_EQ(limiter.check(limits, 600), RequestVerdict{});
}

TEST(RequestLimiter, StartsAPenaltyAtTheThirdRefusalWithinTenSeconds) {
  const Limits limits;
  RequestLimiter limiter;
  use_up(limiter, limits, 0);
  EXPECT_EQ(limiter.check(limits, 10), refused(590));
  EXPECT_EQ(limiter.check(limits, 20), refused(580));
  EXPECT_FALSE(limiter.in_penalty(20));
  EXPECT_EQ(limiter.check(limits, 30), refused(60'000));
  EXPECT_TRUE(limiter.in_penalty(30));
}

TEST(RequestLimiter, DoesNotLengthenAPenaltyByTries) {
  const Limits limits;
  RequestLimiter limiter;
  use_up(limiter, limits, 0);
  for (int i = 0; i < 3; ++i) limiter.check(limits, 0);
  for (std::int64_t now_ms = 0; now_ms < 60'000; now_ms += 100)
    ASSERT_EQ(limiter.check(limits, now_ms), refused(60'000 - now_ms));
  EXPECT_FALSE(limiter.in_penalty(60'000));
  // The bucket went on refilling.
  use_up(limiter, limits, 60'000);
  EXPECT_EQ(limiter.check(limits, 60'000), refused(600));
}

TEST(RequestLimiter, ForgetsRefusalsAfterTenSeconds) {
  const Limits limits{.messages_per_minute = 1, .burst = 1};
  RequestLimiter limiter;
  use_up(limiter, limits, 0);
  for (std::int64_t now_ms = 0; now_ms < 60'000; now_ms += 5'001) {
    EXPECT_EQ(limiter.check(limits, now_ms), refused(60'000 - now_ms));
    EXPECT_FALSE(limiter.in_penalty(now_ms));
  }
}

TEST(RequestLimiter, CountsRefusalsUpToTenSecondsApart) {
  const Limits limits{.messages_per_minute = 1, .burst = 1};
  RequestLimiter limiter;
  use_up(limiter, limits, 0);
  limiter.check(limits, 1'000);
  limiter.check(limits, 6'000);
  limiter.check(limits, 11'000);
  EXPECT_TRUE(limiter.in_penalty(11'001));
}

TEST(RequestLimiter, NeedsThreeNewRefusalsAfterAPenalty) {
  const Limits limits{.messages_per_minute = 60, .burst = 1, .penalty_ms = 500};
  RequestLimiter limiter;
  use_up(limiter, limits, 0);
  for (int i = 0; i < 3; ++i) limiter.check(limits, 0);
  EXPECT_EQ(limiter.check(limits, 500), refused(500));  // the bucket, not the penalty
  EXPECT_FALSE(limiter.in_penalty(500));
  limiter.check(limits, 501);
  EXPECT_FALSE(limiter.in_penalty(501));
  limiter.check(limits, 502);
  EXPECT_TRUE(limiter.in_penalty(502));
}

TEST(RequestLimiter, NamesTheLongerOfPenaltyAndBucket) {
  const Limits limits{.messages_per_minute = 1, .burst = 1, .penalty_ms = 500};
  RequestLimiter limiter;
  use_up(limiter, limits, 0);
  limiter.check(limits, 0);
  limiter.check(limits, 0);
  EXPECT_EQ(limiter.check(limits, 0), refused(60'000));
}

void provoke_penalty(RequestLimiter& limiter, const Limits& limits, std::int64_t now_ms,
                     RequestVerdict expected) {
  use_up(limiter, limits, now_ms);
  ASSERT_EQ(limiter.check(limits, now_ms).kind, Kind::refused);
  ASSERT_EQ(limiter.check(limits, now_ms).kind, Kind::refused);
  ASSERT_EQ(limiter.check(limits, now_ms), expected);
}

TEST(RequestLimiter, EndsTheConnectionAtTheThirdPenaltyWithinTenMinutes) {
  const Limits limits;
  RequestLimiter limiter;
  provoke_penalty(limiter, limits, 0, refused(60'000));
  provoke_penalty(limiter, limits, 200'000, refused(60'000));
  provoke_penalty(limiter, limits, 600'000, closed(60'000));
}

TEST(RequestLimiter, ForgetsPenaltiesAfterTenMinutes) {
  const Limits limits;
  RequestLimiter limiter;
  for (std::int64_t now_ms = 0; now_ms < 6'000'000; now_ms += 300'001)
    provoke_penalty(limiter, limits, now_ms, refused(60'000));
}

TEST(RequestLimiter, HasNoPenaltyWhereItsLengthIsZero) {
  const Limits limits{.penalty_ms = 0};
  RequestLimiter limiter;
  use_up(limiter, limits, 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(limiter.check(limits, 0), refused(600));
  EXPECT_EQ(limiter.check(limits, 600), RequestVerdict{});
}

TEST(RequestLimiter, ActsByTheFactorAtOnce) {
  const Limits limits;
  RequestLimiter limiter;
  int allowed = 0;
  for (int i = 0; i < 20; ++i)
    allowed += limiter.check(limits, 0, LimitFactor::of(0.5)).kind == Kind::allowed ? 1 : 0;
  EXPECT_EQ(allowed, 5);
}

TEST(RequestLimiter, LetsEverythingPassInADryRunAndSaysWhatItWouldDo) {
  const Limits limits{.dry_run = true};
  RequestLimiter limiter;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limiter.check(limits, 0), RequestVerdict{});
  EXPECT_EQ(limiter.check(limits, 0), (RequestVerdict{.would_refuse = true, .retry_after_ms = 600}));
  for (std::int64_t now_ms = 0; now_ms < 600'000; now_ms += 10)
    ASSERT_EQ(limiter.check(limits, now_ms).kind, Kind::allowed);
}

TEST(RequestLimiter, AnswersWithTheLongestWaitOfAllBuckets) {
  const Limits limits;
  RequestLimiter limiter;
  const auto wait = [](std::int64_t ms) { return [ms](Spend) { return ms; }; };
  EXPECT_EQ(limiter.check(limits, 0, {}, wait(42)), refused(42));
  use_up(limiter, limits, 0);  // the refused one took no token
  EXPECT_EQ(limiter.check(limits, 0, {}, wait(599)), refused(600));
  RequestLimiter other;
  use_up(other, limits, 0);
  EXPECT_EQ(other.check(limits, 0, {}, wait(7'000)), refused(7'000));
}

TEST(RequestLimiter, AsksTheSharedBucketsForATokenOnlyIfItHasOneItself) {
  const Limits limits;
  RequestLimiter limiter;
  int takes = 0;
  int looks = 0;
  const auto shared = [&](Spend spend) -> std::int64_t {
    (spend == Spend::take ? takes : looks) += 1;
    return 0;
  };
  for (int i = 0; i < 100; ++i) limiter.check(limits, 0, {}, shared);
  EXPECT_EQ(takes, 10);
  EXPECT_EQ(looks, 3);  // then the penalty
}

// The rule of protocol §6 written down naively, with every time kept.
struct Model {
  double tokens = 10;
  std::int64_t at_ms = 0;
  std::int64_t penalty_until_ms = -1;
  std::vector<std::int64_t> refusals_ms;
  std::vector<std::int64_t> penalties_ms;

  Kind check(std::int64_t now_ms) {
    tokens = std::min(10.0, tokens + static_cast<double>(now_ms - at_ms) * 0.0625);
    at_ms = now_ms;
    if (now_ms < penalty_until_ms) return Kind::refused;
    if (tokens >= 1) {
      tokens -= 1;
      return Kind::allowed;
    }
    refusals_ms.push_back(now_ms);
    if (within(refusals_ms, 10'000)) {
      refusals_ms.clear();
      penalties_ms.push_back(now_ms);
      penalty_until_ms = now_ms + 5'000;
      if (within(penalties_ms, 600'000)) return Kind::refused_and_close;
    }
    return Kind::refused;
  }
  static bool within(const std::vector<std::int64_t>& times, std::int64_t window_ms) {
    return times.size() >= 3 && times.back() - times[times.size() - 3] <= window_ms;
  }
};

TEST(RequestLimiter, AgreesWithTheRuleAsItIsWritten) {
  // 3750 a minute is 1/16 of a token per ms, which a double holds exactly.
  const Limits limits{.messages_per_minute = 3750, .burst = 10, .penalty_ms = 5'000};
  for_seeds(300, [&](Dice& dice) {
    RequestLimiter limiter;
    Model model;
    std::int64_t now_ms = 0;
    const std::int64_t pace_ms = dice.roll(1, 40);
    for (int i = 0; i < 3'000; ++i) {
      now_ms += dice.one_in(100) ? dice.roll(0, 400'000) : dice.roll(0, pace_ms);
      ASSERT_EQ(limiter.check(limits, now_ms).kind, model.check(now_ms)) << "step " << i;
    }
  });
}

}  // namespace
}  // namespace tidewire::guard
