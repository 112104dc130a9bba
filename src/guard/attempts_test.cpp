#include "guard/attempts.h"

#include <atomic>
#include <thread>

#include "guard/attempt_table.h"
#include "guard/seeds.h"

namespace tidewire::guard {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
const IpAddress kHere = ip("1.2.3.4");

std::int64_t blocked_for(Attempts& attempts, const IpAddress& address, std::int64_t now_ms) {
  std::int64_t retry_after_ms = -1;
  const bool blocked = attempts.blocked(address, now_ms, retry_after_ms);
  EXPECT_EQ(blocked, retry_after_ms > 0);
  return retry_after_ms;
}
// How many failures it takes until the penalty starts; 0 if `most` do not suffice.
int failures_to_penalty(Attempts& attempts, const IpAddress& address, std::int64_t now_ms, int most = 100) {
  for (int i = 1; i <= most; ++i)
    if (attempts.record_failure(address, {}, now_ms)) return i;
  return 0;
}

TEST(Attempts, BlocksAnAddressFromTheTenthFailureWithinAMinute) {
  Attempts attempts(1);
  for (int i = 0; i < 9; ++i) EXPECT_FALSE(attempts.record_failure(kHere, {}, 6'000 * i));
  EXPECT_EQ(blocked_for(attempts, kHere, 54'000), 0);
  EXPECT_TRUE(attempts.record_failure(kHere, {}, 59'999));
  EXPECT_EQ(blocked_for(attempts, kHere, 59'999), 60'000);
  EXPECT_EQ(blocked_for(attempts, ip("1.2.3.5"), 59'999), 0);
}

TEST(Attempts, DoesNotCountWhatIsAMinuteAgo) {
  Attempts attempts(1);
  EXPECT_EQ(failures_to_penalty(attempts, kHere, 0, 9), 0);
  EXPECT_EQ(failures_to_penalty(attempts, kHere, 60'000), 10);
}

TEST(Attempts, DoesNotLengthenThePenalty) {
  Attempts attempts(1);
  failures_to_penalty(attempts, kHere, 0);
  for (std::int64_t now_ms = 0; now_ms < 60'000; now_ms += 500) {
    EXPECT_FALSE(attempts.record_failure(kHere, {}, now_ms));
    EXPECT_EQ(blocked_for(attempts, kHere, now_ms), 60'000 - now_ms);
  }
  EXPECT_EQ(blocked_for(attempts, kHere, 60'000), 0);
}

TEST(Attempts, LetTheAddressStartCleanAfterThePenalty) {
  Attempts attempts(1);
  failures_to_penalty(attempts, kHere, 0);
  for (int i = 0; i < 50; ++i) attempts.record_failure(kHere, {}, 59'999);
  EXPECT_EQ(failures_to_penalty(attempts, kHere, 60'000), 10);
}

TEST(Attempts, LetTheAddressStartCleanAlsoAfterAPenaltyShorterThanTheMinute) {
  Attempts attempts(1);
  const Limits limits{.attempts_penalty_ms = 5'000};
  for (int i = 0; i < 9; ++i) EXPECT_FALSE(attempts.record_failure(kHere, limits, 0));
  EXPECT_TRUE(attempts.record_failure(kHere, limits, 0));
  for (int i = 0; i < 9; ++i) EXPECT_FALSE(attempts.record_failure(kHere, limits, 5'000));
  EXPECT_TRUE(attempts.record_failure(kHere, limits, 5'000));
}

TEST(Attempts, CountIpv6ByItsNetwork) {
  Attempts attempts(1);
  for (int i = 0; i < 10; ++i) {
    attempts.record_failure(ip("2001:db8:0:1::" + std::to_string(i)), {}, 0);
  }
  EXPECT_EQ(blocked_for(attempts, ip("2001:db8:0:1:ffff::"), 0), 60'000);
  EXPECT_EQ(blocked_for(attempts, ip("2001:db8:0:2::"), 0), 0);
}

TEST(Attempts, FollowTheSettings) {
  Attempts attempts(1);
  EXPECT_FALSE(attempts.record_failure(kHere, Limits{.attempts_per_minute = 2}, 0));
  EXPECT_TRUE(attempts.record_failure(kHere, Limits{.attempts_per_minute = 2, .attempts_penalty_ms = 5}, 0));
  EXPECT_EQ(blocked_for(attempts, kHere, 0), 5);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(attempts.record_failure(kHere, Limits{.attempts_per_minute = 0}, 10));
    EXPECT_FALSE(attempts.record_failure(kHere, Limits{.attempts_penalty_ms = 0}, 10));
  }
}

TEST(Attempts, NeverBlocksWhoFailsLessOften) {
  for_seeds(100, [](Dice& dice) {
    Attempts attempts(1);
    std::vector<std::int64_t> failures_ms;
    std::int64_t now_ms = 0;
    std::int64_t penalty_until_ms = 0;
    for (int i = 0; i < 500; ++i) {
      now_ms += dice.roll(0, 12'000);
      ASSERT_EQ(blocked_for(attempts, kHere, now_ms), std::max<std::int64_t>(0, penalty_until_ms - now_ms));
      const bool starts = attempts.record_failure(kHere, {}, now_ms);
      if (now_ms < penalty_until_ms) {
        ASSERT_FALSE(starts);
        continue;
      }
      failures_ms.push_back(now_ms);
      const auto recent =
          std::ranges::count_if(failures_ms, [&](std::int64_t t) { return now_ms - t < 60'000; });
      ASSERT_EQ(starts, recent >= 10);
      if (starts) {
        failures_ms.clear();
        penalty_until_ms = now_ms + 60'000;
      }
    }
  });
}

TEST(Attempts, ForgetAddressesWithTime) {
  Attempts attempts(1);
  for (int i = 0; i < 5'000; ++i) {
    const std::uint8_t bytes[4] = {1, 1, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    attempts.record_failure(IpAddress::from_v4(bytes), {}, 0);
  }
  failures_to_penalty(attempts, kHere, 30'000);
  EXPECT_EQ(attempts.entries(), 5'001u);
  for (int i = 0; i < 64; ++i) attempts.sweep(60'000);
  EXPECT_EQ(attempts.entries(), 1u);
  EXPECT_EQ(blocked_for(attempts, kHere, 60'000), 30'000);
  for (int i = 0; i < 64; ++i) attempts.sweep(90'000);
  EXPECT_EQ(attempts.entries(), 0u);
}

TEST(Attempts, KeepAPenaltyThroughAFloodOfOtherAddresses) {
  Attempts attempts(1, 6'400);
  std::int64_t now_ms = 0;
  failures_to_penalty(attempts, kHere, now_ms);
  for (int i = 0; i < 200'000; ++i) {
    const std::uint8_t bytes[4] = {2, static_cast<std::uint8_t>(i >> 16), static_cast<std::uint8_t>(i >> 8),
                                   static_cast<std::uint8_t>(i)};
    attempts.record_failure(IpAddress::from_v4(bytes), Limits{}, now_ms - 1);
  }
  EXPECT_LE(attempts.entries(), 6'400u + 64u);
  EXPECT_GT(blocked_for(attempts, kHere, now_ms), 0);
}

TEST(AttemptsThreads, CountEveryFailureOnce) {
  Attempts attempts(1);
  std::atomic<int> penalties{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        const std::uint8_t bytes[4] = {1, 1, 1, static_cast<std::uint8_t>(i % 50)};
        const IpAddress address = IpAddress::from_v4(bytes);
        std::int64_t retry_after_ms = 0;
        attempts.blocked(address, 0, retry_after_ms);
        if (attempts.record_failure(address, {}, 0)) ++penalties;
        if (i % 100 == 0) attempts.sweep(0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(penalties, 50);
}

}  // namespace
}  // namespace tidewire::guard
