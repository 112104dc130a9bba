// The small limits of one connection: malformed messages, `auth` messages, frames.
#include "guard/auth_rate.h"
#include "guard/frame_pacer.h"
#include "guard/malformed_limit.h"
#include "guard/seeds.h"

namespace tidewire::guard {
namespace {

using Verdict = MalformedLimit::Verdict;

TEST(MalformedLimit, EndsTheConnectionAtTheTwentiethWithinAMinute) {
  MalformedLimit limit;
  for (int i = 0; i < 19; ++i) EXPECT_EQ(limit.record({}, 1'000 * i), Verdict::answer);
  EXPECT_EQ(limit.record({}, 59'999), Verdict::answer_and_close);
}

TEST(MalformedLimit, ForgetsAfterAMinute) {
  MalformedLimit limit;
  for (int i = 0; i < 19; ++i) EXPECT_EQ(limit.record({}, 0), Verdict::answer);
  for (int i = 0; i < 19; ++i) EXPECT_EQ(limit.record({}, 60'000), Verdict::answer);
  EXPECT_EQ(limit.record({}, 60'000), Verdict::answer_and_close);
}

TEST(MalformedLimit, IsOffAtZero) {
  MalformedLimit limit;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(limit.record(Limits{.malformed_per_minute = 0}, 0), Verdict::answer);
  }
}

TEST(MalformedLimit, EndsAtTheFirstWhereOneIsTheLimit) {
  MalformedLimit limit;
  EXPECT_EQ(limit.record(Limits{.malformed_per_minute = 1}, 0), Verdict::answer_and_close);
}

TEST(MalformedLimit, TakesALimitAboveItsMemoryAsThatMemory) {
  MalformedLimit limit;
  const Limits limits{.malformed_per_minute = 1'000'000};
  for (std::int64_t i = 1; i < EventWindow::kMost; ++i) ASSERT_EQ(limit.record(limits, 0), Verdict::answer);
  EXPECT_EQ(limit.record(limits, 0), Verdict::answer_and_close);
}

TEST(EventWindow, CountsLikeAListOfAllTimes) {
  for_seeds(100, [](Dice& dice) {
    EventWindow window;
    std::vector<std::int64_t> all_ms;
    const std::int64_t most = dice.roll(1, 25);
    std::int64_t now_ms = 0;
    for (int i = 0; i < 300; ++i) {
      now_ms += dice.roll(0, dice.one_in(10) ? 70'000 : 5'000);
      const auto recent = [&](std::int64_t at_ms) {
        return std::ranges::count_if(all_ms, [&](std::int64_t t) { return at_ms - t < 60'000; });
      };
      const std::int64_t wait_ms = window.room_in_ms(now_ms, most);
      ASSERT_EQ(wait_ms == 0, recent(now_ms) < most);
      if (wait_ms > 0) {
        ASSERT_LT(recent(now_ms + wait_ms), most);
        ASSERT_GE(recent(now_ms + wait_ms - 1), most);
      }
      all_ms.push_back(now_ms);
      ASSERT_EQ(window.record(now_ms, most), std::min<std::int64_t>(recent(now_ms), most));
      ASSERT_EQ(window.last_ms(), now_ms);
    }
  });
}

TEST(AuthRate, RefusesTheEleventhWithinAMinute) {
  AuthRate rate;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(rate.check(1'000 * i), 0);
  EXPECT_EQ(rate.check(10'000), 50'000);
  EXPECT_EQ(rate.check(59'999), 1);
  EXPECT_EQ(rate.check(60'000), 0);
  EXPECT_EQ(rate.check(60'000), 1'000);
}

TEST(FramePacer, ReadsOnAtTheBurst) {
  FramePacer pacer;
  EXPECT_EQ(pacer.take({}, 1000, 0), 0);
  EXPECT_EQ(pacer.take({}, 1, 0), 5);
}

TEST(FramePacer, KeepsTheAverageHoweverManyFramesARead) {
  for_seeds(50, [](Dice& dice) {
    FramePacer pacer;
    std::int64_t now_ms = 0;
    std::int64_t frames = 0;
    while (frames < 1'000'000) {
      const std::int64_t read = dice.roll(1, 5'000);
      frames += read;
      now_ms += pacer.take({}, read, now_ms);
      ASSERT_LE((frames - 1'000) * 1'000, 200 * now_ms);
      ASSERT_GE(frames * 1'000, 200 * (now_ms - 5));  // and no slower than the rate
    }
  });
}

TEST(FramePacer, IsOffAtZero) {
  FramePacer pacer;
  EXPECT_EQ(pacer.take(Limits{.frames_per_second = 0}, 100'000'000, 0), 0);
}

}  // namespace
}  // namespace tidewire::guard
