#include "hub/recent.h"

#include <gtest/gtest.h>

namespace tidewire::hub {
namespace {

constexpr std::int64_t kMinute_us = Recent::kSlot_us;

struct Rig {
  Recent recent;
  std::vector<ShardCounts> tenants = std::vector<ShardCounts>(2);
  Time now{.mono_us = 1'000'000, .unix_ms = 0};

  void pass(std::int64_t us) {
    now.mono_us += us;
    recent.tick(tenants, now);
  }
  Analytics over(std::int64_t minutes) { return recent.over(minutes * kMinute_us, tenants, now); }
};

guard::LimitKey key(std::uint64_t n) { return {.high = n, .low = n}; }

TEST(Recent, CountsWhatCameBeforeItsFirstTick) {
  Rig rig;
  EXPECT_EQ(rig.over(5).tenants[0].messages_in, 0u);
  rig.tenants[0].messages_in = 3;
  rig.tenants[1].connections_opened = 1;
  rig.recent.note_request(1'000);
  const Analytics early = rig.over(5);
  EXPECT_EQ(early.window_us, 0);
  EXPECT_EQ(early.tenants[0].messages_in, 3u);
  EXPECT_EQ(early.tenants[1].connections_opened, 1u);
  EXPECT_EQ(early.requests.count(), 1u);
}

TEST(Recent, TellsWhatCameInTheWindowAndNoMore) {
  Rig rig;
  rig.pass(0);
  for (int minute = 0; minute < 10; ++minute) {
    rig.tenants[0].messages_in += 100;
    rig.tenants[0].requests[2] += 10;
    rig.tenants[0].connections = 7;
    rig.tenants[1].messages_in += 30;
    rig.recent.note_request(1'000 * (minute + 1));
    rig.pass(kMinute_us);
  }
  const Analytics one = rig.over(1), five = rig.over(5), all = rig.over(60);
  EXPECT_EQ(one.window_us, kMinute_us);
  EXPECT_EQ(one.tenants[0].messages_in, 100u);
  EXPECT_EQ(five.tenants[0].messages_in, 500u);
  EXPECT_EQ(five.tenants[0].requests[2], 50u);
  EXPECT_EQ(five.tenants[0].connections, 7u);
  EXPECT_EQ(five.tenants[1].messages_in, 150u);
  EXPECT_EQ(all.tenants[1].messages_in, 300u);
  EXPECT_EQ(five.requests.count(), 5u);
  EXPECT_GE(five.requests.percentile_us(1), 6'000u);
  EXPECT_EQ(all.tenants[0].messages_in, 1'000u);
  EXPECT_EQ(rig.over(0).requests.count(), 10u);
}

TEST(Recent, ForgetsWhatIsOlderThanItRemembers) {
  Rig rig;
  rig.pass(0);
  rig.tenants[0].messages_in = 1'000'000;
  rig.recent.note_talker(key(1), 5, [](Talker& talker) { talker.name = "old"; });
  for (std::size_t i = 0; i < 2 * Recent::kMinutes; ++i) rig.pass(kMinute_us);
  const Analytics all = rig.over(1'000);
  EXPECT_EQ(all.tenants[0].messages_in, 0u);
  EXPECT_TRUE(all.talkers.empty());
  EXPECT_LE(all.window_us, static_cast<std::int64_t>(Recent::kMinutes + 1) * kMinute_us);
}

TEST(Recent, NamesWhoTalksMost) {
  Rig rig;
  rig.pass(0);
  for (int i = 0; i < 1'000; ++i) {
    const std::uint64_t n = i % 2 == 0 ? 1 : static_cast<std::uint64_t>(2 + i);
    rig.recent.note_talker(key(n), 10, [&](Talker& talker) { talker.name = std::to_string(n); });
    if (i == 500) rig.pass(kMinute_us);
  }
  const auto entries = rig.over(5).talkers.entries();
  ASSERT_FALSE(entries.empty());
  EXPECT_EQ(entries[0].label.name, "1");
  EXPECT_GE(entries[0].count, 500u);
}

TEST(ShardCounts, SinceAMomentEveryCounterIsWhatCameAndEveryStateIsAsItIs) {
  const ShardCounts then{.connections_opened = 1,
                         .went_behind = 1,
                         .gaps = 1,
                         .ended_unhealthy = 1,
                         .pages_asked = 1,
                         .pages_shared = 1,
                         .send_circuits_open = 1,
                         .send_circuits_opened = 1};
  ShardCounts now = then;
  now += then;
  const ShardCounts came = now.since(then);
  EXPECT_EQ(came.connections_opened, 1u);
  EXPECT_EQ(came.went_behind, 1u);
  EXPECT_EQ(came.gaps, 1u);
  EXPECT_EQ(came.ended_unhealthy, 1u);
  EXPECT_EQ(came.pages_asked, 1u);
  EXPECT_EQ(came.pages_shared, 1u);
  EXPECT_EQ(came.send_circuits_opened, 1u);
  EXPECT_EQ(came.send_circuits_open, 2u);
}

TEST(Recent, PartsOfShardsAddUp) {
  Rig one, other;
  one.recent.note_round_trip(1'000);
  other.recent.note_round_trip(9'000);
  Analytics sum = one.over(0);
  sum.merge(other.over(0));
  EXPECT_EQ(sum.round_trips.count(), 2u);
  EXPECT_EQ(sum.round_trips.max_us(), 9'000u);
}

}  // namespace
}  // namespace tidewire::hub
