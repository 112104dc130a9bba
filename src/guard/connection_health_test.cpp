#include "guard/connection_health.h"

#include "guard/seeds.h"

namespace tidewire::guard {
namespace {

const HealthLimits kLimits;
using enum HealthStatus;

TEST(ConnectionHealth, IsHealthyWhileNothingIsMeasured) {
  ConnectionHealth health;
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(health.pass(kLimits));
  EXPECT_EQ(health.parts(kLimits).total(), 1);
  EXPECT_EQ(health.status(), healthy);
  EXPECT_EQ(health.latency_us(), -1);
}

TEST(ConnectionHealth, WeighsLatencyErrorsAndActivity) {
  ConnectionHealth health;
  health.note_round_trip(500'000);
  for (int i = 0; i < 20; ++i) health.note_request();
  health.note_error();
  health.note_error();
  const ConnectionHealth::Parts parts = health.parts(kLimits);
  EXPECT_DOUBLE_EQ(parts.latency, 0.5);
  EXPECT_DOUBLE_EQ(parts.errors, 0.5);
  EXPECT_DOUBLE_EQ(parts.activity, 1);
  EXPECT_DOUBLE_EQ(parts.total(), 0.25 + 0.15 + 0.2);
}

TEST(ConnectionHealth, DegradesByLatencyAndRecovers) {
  ConnectionHealth health;
  for (int i = 0; i < 3; ++i) health.note_round_trip(600'000);
  EXPECT_TRUE(health.pass(kLimits));
  EXPECT_EQ(health.status(), degraded);
  for (int i = 0; i < 5; ++i) health.note_round_trip(3'000'000);
  EXPECT_TRUE(health.pass(kLimits));
  EXPECT_EQ(health.status(), unhealthy);
  for (int i = 0; i < 12; ++i) health.note_round_trip(1'000);
  EXPECT_TRUE(health.pass(kLimits));
  EXPECT_EQ(health.status(), healthy);
}

TEST(ConnectionHealth, DoesNotFlapAroundABound) {
  ConnectionHealth health;
  health.note_round_trip(510'000);
  health.pass(kLimits);
  EXPECT_EQ(health.status(), degraded);
  // A score of 0.755 and of 0.79: better than the bound, but not clearly.
  for (const std::int64_t round_trip_us : {490'000, 420'000}) {
    for (int i = 0; i < 12; ++i) health.note_round_trip(round_trip_us);
    EXPECT_FALSE(health.pass(kLimits));
    EXPECT_EQ(health.status(), degraded);
  }
  for (int i = 0; i < 12; ++i) health.note_round_trip(380'000);
  EXPECT_TRUE(health.pass(kLimits));
  EXPECT_EQ(health.status(), healthy);
}

TEST(ConnectionHealth, TakesOneMistakeOfANewConnectionLightly) {
  ConnectionHealth health;
  health.note_request();
  health.note_error();
  EXPECT_DOUBLE_EQ(health.error_rate(), 0.1);
  health.pass(kLimits);
  EXPECT_EQ(health.status(), healthy);
}

TEST(ConnectionHealth, ForgetsErrorsByHalves) {
  ConnectionHealth health;
  for (int i = 0; i < 100; ++i) {
    health.note_request();
    health.note_error();
  }
  health.note_round_trip(1'000);
  health.pass(kLimits);
  EXPECT_EQ(health.status(), degraded);
  for (int i = 0; i < 8; ++i) {
    health.note_round_trip(1'000);
    health.pass(kLimits);
  }
  EXPECT_EQ(health.error_rate(), 0);
  EXPECT_EQ(health.status(), healthy);
}

TEST(ConnectionHealth, SeesSilenceOfWhoHasBeenHeard) {
  ConnectionHealth health;
  health.note_round_trip(1'000);
  health.pass(kLimits);
  EXPECT_EQ(health.parts(kLimits).activity, 1);
  for (int i = 0; i < 10; ++i) health.pass(kLimits);
  EXPECT_LT(health.parts(kLimits).activity, 0.01);
  EXPECT_EQ(health.status(), healthy);  // silence alone is no illness
  for (int i = 0; i < 10; ++i) {
    health.note_request();
    health.pass(kLimits);
  }
  EXPECT_GT(health.parts(kLimits).activity, 0.95);
}

// A peer that says nothing but answers each ping after `round_trip_ms`: the score at every look but the
// first.
struct Idle {
  std::int64_t heartbeat_ms, interval_ms, round_trip_ms;

  std::vector<double> scores(ConnectionHealth& health, std::int64_t for_ms,
                             const HealthLimits& limits) const {
    std::vector<double> out;
    for (std::int64_t now_ms = 1; now_ms <= for_ms; ++now_ms) {
      if (now_ms > round_trip_ms && (now_ms - round_trip_ms) % heartbeat_ms == 0)
        health.note_round_trip(round_trip_ms * 1000);
      if (now_ms % interval_ms != 0) continue;
      health.pass(limits);
      if (now_ms > heartbeat_ms + round_trip_ms) out.push_back(health.parts(limits).total());
    }
    return out;
  }
  HealthLimits limits() const {
    return {.max_latency_ms = 2 * round_trip_ms,
            .quiet_looks = HealthLimits::quiet_looks_of(interval_ms, heartbeat_ms)};
  }
};

TEST(ConnectionHealth, OfASteadyIdlePeerIsSteadyHoweverOftenItIsLookedAt) {
  for (const Idle& idle :
       {Idle{400, 200, 100}, Idle{500, 500, 100}, Idle{500, 400, 100}, Idle{1000, 200, 60},
        Idle{1000, 10, 300}, Idle{100, 1000, 30}, Idle{3000, 1000, 250}, Idle{400, 210, 399}}) {
    ConnectionHealth health;
    const std::vector<double> scores = idle.scores(health, 60'000, idle.limits());
    ASSERT_FALSE(scores.empty());
    for (const double score : scores)
      ASSERT_DOUBLE_EQ(score, 0.875) << idle.heartbeat_ms << " " << idle.interval_ms;
    EXPECT_EQ(health.status(), healthy);
  }
}

TEST(ConnectionHealth, SilenceBeginsOnceASignOfLifeIsOverdue) {
  const Idle idle{.heartbeat_ms = 1000, .interval_ms = 200, .round_trip_ms = 50};
  ConnectionHealth health;
  idle.scores(health, 10'100, idle.limits());  // the last answer came at 10,050
  for (int i = 0; i < 7; ++i) {
    health.pass(idle.limits());
    EXPECT_EQ(health.parts(idle.limits()).activity, 1) << i;
  }
  health.pass(idle.limits());
  EXPECT_LT(health.parts(idle.limits()).activity, 0.6);
  health.note_request();
  health.pass(idle.limits());
  EXPECT_GT(health.parts(idle.limits()).activity, 0.7);
}

TEST(ConnectionHealth, ALookOftenerThanCanBeCountedSeesNoSilence) {
  EXPECT_EQ(HealthLimits::quiet_looks_of(10, 3'600'000), 0xFFFF);
  ConnectionHealth health;
  health.note_request();
  for (int i = 0; i < 100'000; ++i) health.pass({.quiet_looks = 0xFFFF});
  EXPECT_EQ(health.parts(kLimits).activity, 1);
}

TEST(ConnectionHealth, CountsAPingThatIsStillUnderWay) {
  ConnectionHealth health;
  health.note_round_trip(1'000);
  health.note_waiting(500);
  EXPECT_EQ(health.latency_us(), 1'000);
  health.note_waiting(2'000'000);
  health.pass(kLimits);
  EXPECT_EQ(health.status(), unhealthy);
}

TEST(ConnectionHealth, KeepsItsScoreBetween0And1) {
  for_seeds(300, [](Dice& dice) {
    const HealthLimits limits{.max_latency_ms = dice.roll(0, 1'000),
                              .max_error_rate = static_cast<double>(dice.roll(0, 10)) / 10};
    ConnectionHealth health;
    for (int i = 0; i < 2'000; ++i) {
      switch (dice.roll(0, 5)) {
        case 0:
          health.note_round_trip(dice.roll(-1'000, dice.one_in(10) ? 100'000'000'000 : 2'000'000));
          break;
        case 1:
          health.note_waiting(dice.roll(-1'000, 100'000'000'000));
          break;
        case 2:
          health.pass(limits);
          break;
        case 3:
          for (std::int64_t n = dice.roll(1, dice.one_in(50) ? 100'000 : 10); n > 0; --n)
            health.note_request();
          break;
        default:
          health.note_error();
      }
      const ConnectionHealth::Parts parts = health.parts(limits);
      for (const double part : {parts.latency, parts.errors, parts.activity, parts.total()}) {
        ASSERT_GE(part, 0);
        ASSERT_LE(part, 1);
      }
    }
  });
}

}  // namespace
}  // namespace tidewire::guard
