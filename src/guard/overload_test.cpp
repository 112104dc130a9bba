#include "guard/overload.h"

#include <cstdlib>
#include <vector>

#include "guard/seeds.h"
#include "guard/shared_overload.h"

namespace tidewire::guard {
namespace {

using enum Shedding;
constexpr OverloadLimits kLimits{.max_lag_ms = 100, .max_memory = 1'000'000};

struct Rig {
  Overload overload;
  std::int64_t now_ms = 1'000;
  std::vector<Shedding> steps;

  void run(std::int64_t lag_ms, std::int64_t for_ms, std::int64_t memory = 0) {
    for (const std::int64_t until_ms = now_ms + for_ms; now_ms < until_ms; now_ms += 100)
      if (const auto change = overload.update(kLimits, {.lag_us = lag_ms * 1000, .memory = memory}, now_ms))
        steps.push_back(change->to);
  }
};

TEST(Overload, GoesUpInItsOrderAndDownAgain) {
  Rig rig;
  rig.run(150, 3'000);
  EXPECT_EQ(rig.steps, (std::vector{no_new_connections, defer_low_priority, shed_publishes}));
  rig.steps.clear();
  rig.run(10, 30'000);
  EXPECT_EQ(rig.steps, (std::vector{defer_low_priority, no_new_connections, calm}));
}

TEST(Overload, ShedsNothingForOneLongTurn) {
  Rig rig;
  rig.run(5'000, 100);
  rig.run(10, 10'000);
  EXPECT_TRUE(rig.steps.empty());
}

TEST(Overload, WatchesMemoryLikeLag) {
  Rig rig;
  rig.run(0, 3'000, 1'000'000);
  EXPECT_EQ(rig.overload.step(), shed_publishes);
  rig.run(0, 60'000, 850'000);  // as much as a server that is well may always hold
  EXPECT_EQ(rig.overload.step(), calm);
}

TEST(Overload, LooksAtNothingThatIsSwitchedOff) {
  Overload overload;
  for (std::int64_t now_ms = 0; now_ms < 10'000; now_ms += 100)
    overload.update({.max_lag_ms = 0, .max_memory = 0}, {.lag_us = 10'000'000, .memory = 1 << 30}, now_ms);
  EXPECT_EQ(overload.step(), calm);
}

TEST(Overload, StaysWhereItIsBetweenReliefAndPressure) {
  Rig rig;
  rig.run(150, 700);
  const Shedding before = rig.overload.step();
  rig.steps.clear();
  rig.run(80, 60'000);
  EXPECT_TRUE(rig.steps.empty());
  EXPECT_EQ(rig.overload.step(), before);
}

TEST(Overload, ShedsAShareOfThePublishesThatFollowsThePressure) {
  Rig rig;
  rig.run(150, 2'000);
  const double under_pressure = rig.overload.publish_share();
  EXPECT_LT(under_pressure, 0.5);
  rig.run(150, 60'000);
  EXPECT_GE(rig.overload.publish_share(), Overload::kLeastShare);
  rig.run(10, 1'000);
  EXPECT_GT(rig.overload.publish_share(), Overload::kLeastShare);
  EXPECT_LT(rig.overload.publish_share(), 0.5);
}

// A load that comes back whenever nothing is shed: the steps must become rare.
TEST(Overload, DoesNotFlap) {
  Rig rig;
  int changes_early = 0, changes_late = 0;
  for (int i = 0; i < 6'000; ++i) {
    const std::size_t before = rig.steps.size();
    rig.run(rig.overload.step() == calm ? 200 : 20, 100);
    (i < 3'000 ? changes_early : changes_late) += static_cast<int>(rig.steps.size() - before);
  }
  EXPECT_LE(changes_late, changes_early);
  EXPECT_LE(changes_late, 2 * 300'000 / Overload::kMostFall_ms + 2);
}

TEST(Overload, GoesUpFasterWhereTurnsTakeSeconds) {
  Overload overload;
  const OverloadSample sample{.lag_us = 1'500'000};
  EXPECT_FALSE(overload.update(kLimits, sample, 10'000).has_value());
  const auto change = overload.update(kLimits, sample, 11'500);
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(change->to, shed_publishes);
  EXPECT_LT(overload.publish_share(), 0.2);
}

TEST(Overload, IsNeverStuckAndComesDownStepByStep) {
  for_seeds(200, [](Dice& dice) {
    Overload overload;
    std::int64_t now_ms = dice.roll(0, 1'000'000);
    for (int i = 0; i < 1'000; ++i) {
      now_ms += dice.one_in(30) ? dice.roll(-5'000, 20'000) : dice.roll(50, 200);
      const OverloadSample sample{.lag_us = dice.roll(0, dice.one_in(3) ? 2'000'000 : 120'000),
                                  .memory = dice.roll(0, 1'200'000)};
      const auto change = overload.update(kLimits, sample, now_ms);
      if (change) {
        const int moved = static_cast<int>(change->to) - static_cast<int>(change->from);
        ASSERT_TRUE(moved == -1 || (moved >= 1 && moved <= 3)) << moved;
      }
      ASSERT_GE(overload.publish_share(), Overload::kLeastShare);
      ASSERT_LE(overload.publish_share(), 1);
    }
    // Three times the longest wait, and the share's growth.
    for (std::int64_t ms = 0; ms < 3 * Overload::kMostFall_ms + 50'000; ms += 100)
      overload.update(kLimits, {}, now_ms += 100);
    ASSERT_EQ(overload.step(), calm);
    for (int i = 0; i < 40; ++i) overload.update(kLimits, {.lag_us = 500'000}, now_ms += 100);
    ASSERT_EQ(overload.step(), shed_publishes);
  });
}

// Of 100 ms and more; memory is not looked at.
void judge_lag(SharedOverload& shared, std::int64_t now_ms) {
  shared.judge({.max_lag_ms = 100, .max_memory = 0}, [] { return std::int64_t{0}; }, now_ms);
}

TEST(SharedOverload, SeesAShardThatIsStuckInATurn) {
  SharedOverload shared;
  for (std::int64_t now_ms = 1'000; now_ms < 2'000; now_ms += 100) {
    shared.report(0, 0, 0, now_ms);
    shared.report(1, 0, 0, now_ms);
    judge_lag(shared, now_ms);
  }
  EXPECT_EQ(shared.step(), calm);
  for (std::int64_t now_ms = 2'000; now_ms < 4'000; now_ms += 100) {
    shared.report(0, 0, 0, now_ms);  // the other says nothing any more
    judge_lag(shared, now_ms);
  }
  EXPECT_EQ(shared.step(), shed_publishes);
  EXPECT_LT(shared.publish_share(), 1);
}

TEST(SharedOverload, ALongTurnOfOneShardIsJudgedOnce) {
  SharedOverload shared;
  for (std::int64_t now_ms = 1'000; now_ms < 10'000; now_ms += 100) {
    shared.report(0, 0, 0, now_ms);
    judge_lag(shared, now_ms);
    // The other reports half as often, and now and then one long turn.
    if (now_ms % 200 == 0) {
      shared.report(1, now_ms % 1'000 == 0 ? 300'000 : 0, 0, now_ms + 10);
      judge_lag(shared, now_ms + 10);
    }
    EXPECT_EQ(shared.step(), calm) << now_ms;
  }
}

TEST(SharedOverload, ALoopThatFindsTimeToWaitBeginsNoOverload) {
  for (const std::int64_t waited_us : {0, 60'000}) {
    SharedOverload shared;
    for (std::int64_t now_ms = 1'000; now_ms < 10'000; now_ms += 500) {
      shared.report(0, 400'000, waited_us, now_ms);
      judge_lag(shared, now_ms);
    }
    EXPECT_EQ(shared.step(), waited_us == 0 ? shed_publishes : calm);
  }
}

TEST(SharedOverload, WatchesEveryShardThatMayBe) {
  SharedOverload shared;
  for (std::int64_t now_ms = 1'000; now_ms < 3'000; now_ms += 100) {
    for (std::size_t shard = 0; shard < SharedOverload::kMostShards; ++shard)
      shared.report(shard, shard + 1 == SharedOverload::kMostShards ? 500'000 : 0, 0, now_ms);
    judge_lag(shared, now_ms);
  }
  EXPECT_EQ(shared.step(), shed_publishes);
}

TEST(SharedOverload, JudgesOnceHoweverManyAsk) {
  SharedOverload shared;
  int asked = 0;
  const auto memory = [&] { return std::int64_t{++asked}; };
  for (int i = 0; i < 10; ++i) shared.judge(kLimits, memory, 1'000);
  shared.judge(kLimits, memory, 1'050);
  EXPECT_EQ(asked, 1);
  shared.judge(kLimits, memory, 1'100);
  EXPECT_EQ(asked, 2);
}

TEST(ShareGate, LetsTheShareThroughEvenly) {
  ShareGate gate;
  int passed = 0;
  for (int i = 0; i < 1'000; ++i) passed += gate.pass(0.25) ? 1 : 0;
  EXPECT_EQ(passed, 250);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(gate.pass(1));
}

}  // namespace
}  // namespace tidewire::guard
