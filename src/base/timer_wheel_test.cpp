#include "base/timer_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

namespace tidewire {
namespace {

struct Timer : TimerEntry {
  int id = 0;
};
static_assert(sizeof(TimerEntry) <= 32);

constexpr std::int64_t kDay_ms = 24 * 3600 * 1000;

std::vector<int> fired_until(TimerWheel<Timer>& wheel, std::int64_t now_ms) {
  std::vector<int> ids;
  wheel.advance(now_ms, [&](Timer& timer) { ids.push_back(timer.id); });
  return ids;
}

TEST(TimerWheel, FiresAtTheFirstTickAtOrAfterTheDeadline) {
  TimerWheel<Timer> wheel(10, 1000);
  Timer timer;
  wheel.schedule(timer, 1015);
  EXPECT_TRUE(timer.scheduled());
  EXPECT_EQ(wheel.next_deadline_ms(), 1020);
  EXPECT_TRUE(fired_until(wheel, 1019).empty());
  EXPECT_EQ(fired_until(wheel, 1020).size(), 1u);
  EXPECT_FALSE(timer.scheduled());
  EXPECT_TRUE(fired_until(wheel, 5000).empty());
  EXPECT_EQ(wheel.next_deadline_ms(), std::nullopt);
}

TEST(TimerWheel, HoldsDeadlinesOfDaysAndJumpsOverThem) {
  TimerWheel<Timer> wheel(1, 7);
  Timer near, far, beyond;
  near.id = 1;
  far.id = 2;
  wheel.schedule(far, 30 * kDay_ms);
  wheel.schedule(near, 3 * kDay_ms + 1);
  wheel.schedule(beyond, std::int64_t{1} << 60);
  EXPECT_TRUE(fired_until(wheel, 3 * kDay_ms).empty());
  EXPECT_EQ(fired_until(wheel, 400 * kDay_ms), (std::vector{1, 2}));
  EXPECT_TRUE(beyond.scheduled());
}

TEST(TimerWheel, AnEntryRescheduledInItsCallbackFiresInALaterAdvanceOnly) {
  TimerWheel<Timer> wheel(1);
  Timer timer;
  int count = 0;
  wheel.schedule(timer, 5);
  const auto again = [&](Timer& entry) {
    ++count;
    wheel.schedule(entry, 0);  // long past
  };
  wheel.advance(1000, again);
  EXPECT_EQ(count, 1);
  wheel.advance(1000, again);
  EXPECT_EQ(count, 1);
  wheel.advance(1001, again);
  EXPECT_EQ(count, 2);
}

TEST(TimerWheel, AnEntryCancelledOrDestroyedInAnothersCallbackDoesNotFire) {
  TimerWheel<Timer> wheel(1);
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < 30; ++i) {
    timers.push_back(std::make_unique<Timer>());
    timers.back()->id = i;
    wheel.schedule(*timers.back(), 100);
  }
  int count = 0;
  wheel.advance(100, [&](Timer& entry) {
    ++count;
    const auto id = static_cast<std::size_t>(entry.id);
    const std::size_t base = id / 3 * 3;
    for (std::size_t i = base; i < base + 3; ++i) {
      if (i == id) continue;
      if (i % 2 == 0)
        timers[i].reset();
      else
        wheel.cancel(*timers[i]);
    }
    timers[id].reset();  // its own owner too
  });
  EXPECT_EQ(count, 10);
}

TEST(TimerWheel, TimeThatStandsStillOrGoesBackChangesNothing) {
  TimerWheel<Timer> wheel(1, 100);
  Timer timer;
  wheel.schedule(timer, 90);
  EXPECT_TRUE(fired_until(wheel, 100).empty());
  EXPECT_TRUE(fired_until(wheel, 50).empty());
  EXPECT_EQ(fired_until(wheel, 101).size(), 1u);
}

TEST(TimerWheel, EntriesMayOutliveTheWheel) {
  Timer timer;
  {
    TimerWheel<Timer> wheel(1);
    wheel.schedule(timer, 10);
  }
  EXPECT_FALSE(timer.scheduled());
}

// Random operations, also inside callbacks, beside a model that is a sorted map of ticks.
TEST(TimerWheel, BehavesAsASortedMapUnderRandomOperations) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    const std::int64_t resolution = std::array{1, 8, 10, 100}[random() % 4];
    std::int64_t now = static_cast<std::int64_t>(random() % 100'000'000);
    TimerWheel<Timer> wheel(resolution, now);
    std::map<int, std::unique_ptr<Timer>> timers;
    std::map<int, std::int64_t> due;  // id -> tick
    int next_id = 0;
    std::int64_t horizon_tick = now / resolution;

    const auto distance = [&]() -> std::int64_t {
      const auto span = std::int64_t{1} << random() % 42;
      return static_cast<std::int64_t>(random()) % span;  // also into the past
    };
    const auto schedule = [&](Timer& timer) {
      const std::int64_t deadline = std::max<std::int64_t>(now + distance(), 0);
      wheel.schedule(timer, deadline);
      due[timer.id] = std::max((deadline + resolution - 1) / resolution, horizon_tick + 1);
    };
    const auto change_something = [&](int spare_id) {
      const auto action = random() % 4;
      if (action == 0 || timers.empty()) {
        auto timer = std::make_unique<Timer>();
        timer->id = next_id++;
        schedule(*timer);
        timers.emplace(timer->id, std::move(timer));
        return;
      }
      auto chosen = timers.lower_bound(static_cast<int>(random() % static_cast<unsigned>(next_id)));
      if (chosen == timers.end()) chosen = timers.begin();
      const int id = chosen->first;
      if (action == 1) {
        schedule(*chosen->second);
      } else if (action == 2) {
        wheel.cancel(*chosen->second);
        due.erase(id);
      } else if (id != spare_id) {
        timers.erase(chosen);
        due.erase(id);
      }
    };

    for (int step = 0; step < 400; ++step) {
      const auto changes = random() % 4;
      for (unsigned i = 0; i < changes; ++i) change_something(-1);

      const auto hint = wheel.next_deadline_ms();
      ASSERT_EQ(hint.has_value(), !due.empty());
      for (const auto& [id, tick] : due) ASSERT_LE(*hint, tick * resolution);

      const bool to_hint = hint && random() % 2 == 0;
      now = std::max(now, to_hint ? *hint : now + std::abs(distance()) / 4);
      const std::int64_t target = std::max(now / resolution, horizon_tick);
      horizon_tick = target;
      std::int64_t last_tick = 0;
      wheel.advance(now, [&](Timer& timer) {
        const auto expected = due.find(timer.id);
        ASSERT_NE(expected, due.end());
        ASSERT_LE(expected->second, target);
        ASSERT_GE(expected->second, last_tick);
        last_tick = expected->second;
        due.erase(expected);
        ASSERT_FALSE(timer.scheduled());
        if (random() % 2 == 0) schedule(timer);
        change_something(timer.id);
      });
      for (const auto& [id, tick] : due) ASSERT_GT(tick, target) << "seed " << seed;
      for (const auto& [id, timer] : timers) ASSERT_EQ(timer->scheduled(), due.contains(id));
    }
  }
}

}  // namespace
}  // namespace tidewire
