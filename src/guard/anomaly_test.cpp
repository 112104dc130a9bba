#include "guard/anomaly.h"

#include <gtest/gtest.h>

#include "guard/anomalies.h"
#include "guard/anomaly_traffic.h"

namespace tidewire::guard {
namespace {

using enum AnomalyKind;
using Writer = ActivityMeter::Writer;

constexpr LimitKey kUser{.high = 1, .low = 2};

TEST(ActivityMeter, AWindowEndsTenSecondsAfterItsFirstRequest) {
  ActivityMeter meter;
  EXPECT_FALSE(meter.due(1'000'000));
  meter.request(100, 5'000);
  EXPECT_FALSE(meter.due(14'999));
  EXPECT_TRUE(meter.due(15'000));
  const Activity activity = meter.take();
  EXPECT_EQ(activity.requests, 1u);
  EXPECT_EQ(activity.bytes, 100u);
  EXPECT_TRUE(meter.empty());
  EXPECT_FALSE(meter.due(1'000'000));
}

TEST(ActivityMeter, TimeThatNoLongerFits32BitsIsNoTrouble) {
  ActivityMeter meter;
  const std::int64_t late_ms = (std::int64_t{1} << 32) - 3'000;
  meter.request(1, late_ms);
  EXPECT_FALSE(meter.due(late_ms + 9'999));
  EXPECT_TRUE(meter.due(late_ms + 10'000));
}

TEST(ActivityMeter, CountsDifferentRefusedChannelsOnly) {
  ActivityMeter meter;
  meter.request(1, 0);
  for (int i = 0; i < 50; ++i) meter.refused_channel(0xABCDEF0123456789);
  EXPECT_EQ(meter.take().refused_channels, 1u);
  traffic::Dice dice(7);
  meter.request(1, 0);
  for (int i = 0; i < 40; ++i) meter.refused_channel(dice.any());
  EXPECT_NEAR(meter.take().refused_channels, 40, 12);
}

TEST(ActivityMeter, NumbersStayWithinTheirBounds) {
  ActivityMeter meter;
  for (int i = 0; i < 100'000; ++i) {
    meter.request(std::size_t{1} << 20, 1 + i);
    meter.message(Writer::program, 1 + i);
    meter.error();
    meter.refused_channel(static_cast<std::uint64_t>(i) << 58);
  }
  const Activity activity = meter.take();
  EXPECT_EQ(activity.requests, 65'535u);
  EXPECT_EQ(activity.errors, 65'535u);
  EXPECT_EQ(activity.bytes, 0xFFFF'FFFFu);
  EXPECT_TRUE(activity.by_machine);
  EXPECT_LE(activity.refused_channels, 400u);
}

TEST(ActivityMeter, ATimerHasABeatAndAPersonHasNone) {
  traffic::Dice dice(3);
  const auto beat_of = [](auto&& wait_ms) {
    ActivityMeter meter;
    std::int64_t now_ms = 1;
    for (int i = 0; i < 60; ++i, now_ms += wait_ms()) {
      meter.request(100, now_ms);
      meter.message(Writer::person, now_ms);
    }
    return meter.take().beat;
  };
  EXPECT_GT(beat_of([&] { return dice.timer_ms(5000, 0.02); }), 2.9f);
  EXPECT_LT(beat_of([&] { return dice.human_ms(5, 0.9); }), 1.5f);
}

TEST(ActivityMeter, TooFewMessagesHaveNoBeat) {
  ActivityMeter meter;
  for (int i = 0; i < 20; ++i) {
    meter.request(1, 1'000 * (i + 1));
    meter.message(Writer::person, 1'000 * (i + 1));
  }
  EXPECT_EQ(meter.take().beat, Activity::kNoBeat);
}

Activity ordinary(traffic::Dice& dice) {
  return {.requests = static_cast<std::uint32_t>(dice.between(1, 8)), .bytes = 1'000};
}

struct World {
  explicit World(AnomalyPolicy policy_ = {}) : policy(policy_) {
    for (std::uint64_t user = 100; user < 130; ++user)
      for (int i = 0; i < 30; ++i) judge({.high = 1, .low = user}, ordinary(dice));
  }
  Anomalies::Verdict judge(const LimitKey& user, const Activity& activity) {
    now_ms += 10'000;
    return anomalies.judge(user, activity, policy, everybody, now_ms);
  }
  AnomalyPolicy policy;
  traffic::Dice dice{5};
  Anomalies anomalies;
  Population everybody;
  std::int64_t now_ms = 0;
};

// How many windows until it is reported; -1: not within twenty.
int windows_until_reported(World& world, const Activity& activity, AnomalyKind kind) {
  for (int i = 1; i <= 20; ++i) {
    const auto found = world.judge(kUser, activity).finding;
    if (!found) continue;
    EXPECT_EQ(found->kind, kind);
    return i;
  }
  return -1;
}

TEST(Anomalies, EachKindIsFoundWithinAFewWindows) {
  for (const auto& [activity, kind] : std::vector<std::pair<Activity, AnomalyKind>>{
           {{.requests = 200, .bytes = 10'000}, burst},
           {{.requests = 20, .errors = 20}, error_flood},
           {{.requests = 7, .errors = 7, .refused_channels = 7}, channel_scan},
           {{.requests = 5, .bytes = 5'000'000}, size}}) {
    World world;
    const int windows = windows_until_reported(world, activity, kind);
    EXPECT_GE(windows, 1) << name_of(kind);
    EXPECT_LE(windows, 4) << name_of(kind);
  }
}

Activity beating(float beat, std::uint32_t requests = 5) {
  return {.requests = requests, .bytes = 1'000, .beat = beat};
}

// Writes as people do for a while, and then at a beat: what is found.
std::optional<AnomalyFinding> becomes_a_bot(World& world, Anomalies::Verdict& verdict) {
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(world.judge(kUser, beating(0.8f)).finding);
  for (int i = 0; i < 4 && !verdict.finding; ++i) verdict = world.judge(kUser, beating(4));
  return verdict.finding;
}

TEST(Anomalies, ABeatIsUnusualForWhoHadNone) {
  World world;
  Anomalies::Verdict verdict;
  const auto found = becomes_a_bot(world, verdict);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, bot_timing);
  EXPECT_NE(found->evidence().find("4.0 of 4 in regularity; this user's usual 0.8"), std::string::npos)
      << found->evidence();
}

TEST(Anomalies, WhoKeptABeatFromTheBeginningIsAProgram) {
  World world;
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(world.judge(kUser, beating(i % 5 == 0 ? 3.6f : Activity::kNoBeat)).finding) << "a sensor";
    EXPECT_FALSE(world.judge({.high = 1, .low = 3}, beating(3.2f, 41)).finding) << "a game client";
  }
  std::optional<AnomalyFinding> found;
  for (int i = 0; i < 5 && !found; ++i) found = world.judge(kUser, {.requests = 2'000}).finding;
  ASSERT_TRUE(found) << "a program has its bounds too";
  EXPECT_EQ(found->kind, burst);
}

TEST(Anomalies, ABeatAloneIsToldAndNotActedOn) {
  World world({.action = AnomalyAction::refuse, .hold_ms = 60'000});
  Anomalies::Verdict alone;
  ASSERT_TRUE(becomes_a_bot(world, alone));
  EXPECT_EQ(alone.action, AnomalyAction::report);
  EXPECT_EQ(alone.held_until_ms, 0);

  World other({.action = AnomalyAction::refuse, .hold_ms = 15'000});
  Anomalies::Verdict verdict;
  while (!verdict.finding) verdict = other.judge(kUser, {.requests = 5, .bytes = 5'000'000});
  EXPECT_EQ(verdict.action, AnomalyAction::refuse);
  const std::int64_t first_ms = verdict.held_until_ms;
  other.now_ms = first_ms;
  Anomalies::Verdict again;
  ASSERT_TRUE(becomes_a_bot(other, again));
  EXPECT_EQ(again.action, AnomalyAction::refuse);
  EXPECT_GT(again.held_until_ms, first_ms);
}

TEST(Anomalies, ASteadyRateOfTheOnlyUserThereIsIsNone) {
  Anomalies anomalies;
  Population everybody;
  traffic::Dice dice{6};
  for (std::int64_t now_ms = 0; now_ms < 3'600'000; now_ms += 10'000) {
    const auto requests = static_cast<std::uint32_t>(dice.between(36, 44));
    ASSERT_FALSE(
        anomalies.judge(kUser, {.requests = requests, .bytes = 4'000}, {}, everybody, now_ms).finding);
  }
}

TEST(Anomalies, TheEvidenceSaysWhatIsNotKnown) {
  Anomalies anomalies;
  Population everybody;
  std::optional<AnomalyFinding> found;
  for (std::int64_t now_ms = 0; !found; now_ms += 10'000)
    found = anomalies.judge(kUser, {.requests = 3'000}, {}, everybody, now_ms).finding;
  EXPECT_EQ(found->evidence(),
            "3000 requests in 10 s; this user's usual not known yet, everybody's not known yet");
}

TEST(Anomalies, TheEvidenceHasTheNumbers) {
  World world;
  std::optional<AnomalyFinding> found;
  while (!found) found = world.judge(kUser, {.requests = 200}).finding;
  EXPECT_NEAR(found->value, 200, 1);
  EXPECT_LT(found->population, 10);
  EXPECT_NE(found->evidence().find("200 requests in 10 s"), std::string::npos) << found->evidence();
}

TEST(Anomalies, OneOddWindowIsNone) {
  World world;
  for (int i = 0; i < 30; ++i) {
    EXPECT_FALSE(world.judge(kUser, ordinary(world.dice)).finding);
    if (i % 10 != 9) continue;
    EXPECT_FALSE(world.judge(kUser, {.requests = 45}).finding);
  }
}

TEST(Anomalies, WhatGoesOnIsToldOnceInFiveMinutes) {
  World world;
  int told = 0;
  const std::int64_t begin_ms = world.now_ms;
  while (world.now_ms - begin_ms < 290'000)
    if (world.judge(kUser, {.requests = 300}).finding) ++told;
  EXPECT_EQ(told, 1);
}

TEST(Anomalies, NothingIsFoundInAPopulationThatIsAlike) {
  World world;
  for (int i = 0; i < 2'000; ++i)
    EXPECT_FALSE(
        world.judge({.high = 1, .low = 500 + static_cast<std::uint64_t>(i % 20)}, ordinary(world.dice))
            .finding);
}

TEST(Anomalies, OnlyAPolicyThatHoldsHolds) {
  for (const AnomalyAction action : {AnomalyAction::report, AnomalyAction::slow, AnomalyAction::refuse}) {
    World world({.action = action, .hold_ms = 60'000});
    Anomalies::Verdict verdict;
    while (!verdict.finding) verdict = world.judge(kUser, {.requests = 300});
    const std::int64_t until_ms = action == AnomalyAction::report ? 0 : world.now_ms + 60'000;
    EXPECT_EQ(verdict.held_until_ms, until_ms) << name_of(action);
    EXPECT_EQ(world.anomalies.held_until_ms(kUser), until_ms);
    EXPECT_EQ(world.anomalies.held_until_ms({.high = 9, .low = 9}), 0);
  }
}

TEST(Anomalies, WhatIsFoundDuringAHoldDoesNotLengthenIt) {
  World world({.action = AnomalyAction::refuse, .hold_ms = 60'000});
  Anomalies::Verdict first;
  while (!first.finding) first = world.judge(kUser, {.requests = 300});
  Anomalies::Verdict second;
  while (!second.finding) second = world.judge(kUser, {.requests = 30, .errors = 30, .refused_channels = 30});
  ASSERT_LT(world.now_ms, first.held_until_ms);
  EXPECT_EQ(second.held_until_ms, first.held_until_ms);
}

TEST(Anomalies, WhatGoesOnAfterAHoldIsHeldAgain) {
  World world({.action = AnomalyAction::refuse, .hold_ms = 60'000});
  std::vector<std::int64_t> begins_ms;
  const std::int64_t begin_ms = world.now_ms;
  while (world.now_ms - begin_ms < 290'000) {
    const std::int64_t held_until_ms = world.anomalies.held_until_ms(kUser);
    // Who is refused makes no requests that count.
    const bool held = world.now_ms < held_until_ms;
    const auto verdict = held ? world.judge(kUser, {}) : world.judge(kUser, {.requests = 300});
    EXPECT_FALSE(held && verdict.finding);
    if (verdict.finding) begins_ms.push_back(world.now_ms);
  }
  EXPECT_GE(begins_ms.size(), 3u);
  for (std::size_t i = 1; i < begins_ms.size(); ++i) EXPECT_GE(begins_ms[i] - begins_ms[i - 1], 60'000);
}

TEST(Anomalies, AHoldIsNeverLongerThanAsked) {
  UserHabits habits;
  for (std::int64_t until_ms = 1'000'000; until_ms < 1'002'000; until_ms += 7) {
    habits.hold(until_ms);
    EXPECT_LE(habits.held_until_ms(), until_ms);
    EXPECT_GT(habits.held_until_ms(), until_ms - 4);
  }
}

TEST(ActivityMeter, WhatIsTakenBackWasNoRequest) {
  ActivityMeter meter;
  meter.request(100, 1'000);
  meter.take_back(100);
  EXPECT_TRUE(meter.empty());
  EXPECT_FALSE(meter.due(100'000));
  meter.take_back(100);  // what an earlier window had
  meter.request(50, 20'000);
  meter.request(7, 21'000);
  meter.take_back(50);
  const Activity activity = meter.take();
  EXPECT_EQ(activity.requests, 1u);
  EXPECT_EQ(activity.bytes, 7u);
}

TEST(Anomalies, UsersAreForgottenAndBounded) {
  Anomalies anomalies(64 * 8);
  Population everybody;
  traffic::Dice dice(1);
  for (int i = 0; i < 20'000; ++i)
    anomalies.judge({.high = dice.any(), .low = dice.any()}, {.requests = 1}, {}, everybody, 1'000);
  EXPECT_LE(anomalies.users(), 64u * 10);
  for (int i = 0; i < 64; ++i) anomalies.sweep(1'000 + UserHabits::kForget_ms + 1'000);
  EXPECT_EQ(anomalies.users(), 0u);
}

TEST(Anomalies, NobodyInParticularIsJudgedWithoutBeingKept) {
  World world;
  const std::size_t users = world.anomalies.users();
  for (int i = 0; i < 10; ++i) world.judge({}, {.requests = 300});
  EXPECT_EQ(world.anomalies.users(), users);
}

TEST(Anomalies, TheLatestReportsAreKeptAndCounted) {
  Anomalies anomalies;
  for (std::size_t i = 0; i < Anomalies::kReports + 10; ++i)
    anomalies.report({.unix_ms = static_cast<std::int64_t>(i), .kind = size});
  EXPECT_EQ(anomalies.count(size), Anomalies::kReports + 10);
  EXPECT_EQ(anomalies.count(burst), 0u);
  const auto latest = anomalies.latest(2);
  ASSERT_EQ(latest.size(), 2u);
  EXPECT_EQ(latest[0].unix_ms, static_cast<std::int64_t>(Anomalies::kReports) + 9);
  EXPECT_EQ(latest[1].unix_ms, static_cast<std::int64_t>(Anomalies::kReports) + 8);
  EXPECT_EQ(anomalies.take_new().size(), Anomalies::kReports);
  EXPECT_TRUE(anomalies.take_new().empty());
  anomalies.report({.unix_ms = 7});
  ASSERT_EQ(anomalies.take_new().size(), 1u);
  EXPECT_EQ(anomalies.latest().size(), Anomalies::kReports);
}

TEST(PopulationWatch, ASurgeOfEverybodyIsOneReport) {
  PopulationWatch watch;
  traffic::Dice dice(2);
  int reports = 0;
  std::int64_t now_ms = 0;
  const auto pass = [&](int windows, std::uint32_t requests, std::uint32_t errors) {
    for (int i = 0; i < windows * 20; ++i) {
      now_ms += 500;
      const auto found = watch.add(
          {.requests = requests + static_cast<std::uint32_t>(dice.between(0, 5)), .errors = errors}, now_ms);
      if (!found) continue;
      ++reports;
      EXPECT_EQ(found->kind, errors > 0 ? error_flood : burst);
    }
  };
  pass(100, 10, 0);
  EXPECT_EQ(reports, 0);
  pass(10, 200, 0);
  EXPECT_EQ(reports, 1);
  pass(60, 10, 0);
  EXPECT_EQ(reports, 1);
  pass(10, 10, 30);
  EXPECT_EQ(reports, 2);
}

// Not what is right but what was measured (bench/results/anomaly-detection.md).
TEST(AnomalyTraffic, TheDefaultFindsAbuseAndLeavesUsersAlone) {
  const traffic::Outcome outcome = traffic::run(AnomalyMethod::robust, 1);
  EXPECT_GE(outcome.precision(), 0.98);
  EXPECT_GE(outcome.recall(), 0.9);
  EXPECT_GE(outcome.sorts.size(), 16u);
  for (const traffic::Score& score : outcome.sorts) {
    if (!score.abuse) continue;
    // A bot that was never anything else is a program like any other; and a beat takes 24 messages.
    const bool is_bot = score.sort.contains("bot");
    EXPECT_GE(score.alarmed, score.users * (is_bot ? 5 : 9) / 10) << score.sort;
    EXPECT_LE(score.median_delay_s(), is_bot ? 300 : 200) << score.sort;
  }
}

TEST(AnomalyTraffic, ItIsBetterThanTwoSigma) {
  const traffic::Outcome better = traffic::run(AnomalyMethod::robust, 2);
  const traffic::Outcome base = traffic::run(AnomalyMethod::two_sigma, 2);
  EXPECT_GT(better.precision(), base.precision() + 0.3);
  EXPECT_GE(better.recall(), base.recall());
}

TEST(AnomalyTraffic, TheSameSeedGivesTheSameTraffic) {
  const traffic::Outcome once = traffic::run(AnomalyMethod::robust, 3);
  const traffic::Outcome again = traffic::run(AnomalyMethod::robust, 3);
  EXPECT_EQ(once.acts, again.acts);
  for (std::size_t i = 0; i < once.sorts.size(); ++i) EXPECT_EQ(once.sorts[i].alarms, again.sorts[i].alarms);
}

}  // namespace
}  // namespace tidewire::guard
