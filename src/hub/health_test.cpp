// Health passes over a shard's sessions: who is looked at when, and what follows.
#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

SessionOptions options() {
  SessionOptions options;
  options.health_interval_ms = 1'000;
  options.health = {.max_latency_ms = 100, .max_error_rate = 0.1};
  return options;
}

std::array<std::uint64_t, 3> health_of(TestShards& shards) { return shards.sessions().counts().health; }

void pass(TestShards& shards, int calls) {
  for (int i = 0; i < calls; ++i) {
    shards.pass(100);
    shards.sessions().pass_health(shards.now);
  }
}

TEST(HealthPass, LooksAtEachConnectionOnceAnInterval) {
  TestShards shards(1, options());
  std::vector<TestShards::Peer> peers;
  for (int i = 0; i < 50; ++i) peers.push_back(shards.open());
  for (const auto& peer : peers) shards.sessions().on_round_trip(peer.handle, 10'000'000);
  shards.sessions().pass_health(shards.now);
  EXPECT_EQ(health_of(shards), (std::array<std::uint64_t, 3>{50, 0, 0}));
  pass(shards, 5);
  const auto halfway = health_of(shards);
  EXPECT_NEAR(static_cast<double>(halfway[2]), 25, 2);
  pass(shards, 6);
  EXPECT_EQ(health_of(shards), (std::array<std::uint64_t, 3>{0, 0, 50}));
}

TEST(HealthPass, DoesABoundedSliceHoweverLongTheStall) {
  TestShards shards(1, options());
  for (std::size_t i = 0; i < 2 * Sessions::kHealthSlice; ++i)
    shards.sessions().on_round_trip(shards.open(nullptr).handle, 10'000'000);
  shards.sessions().pass_health(shards.now);
  shards.pass(3'600'000);
  shards.sessions().pass_health(shards.now);
  EXPECT_LE(health_of(shards)[2], Sessions::kHealthSlice);
  pass(shards, 12);
  EXPECT_EQ(health_of(shards)[2], 2 * Sessions::kHealthSlice);
}

TEST(HealthPass, CountsErrorsOfTheConnectionAndForgetsWithIt) {
  TestShards shards(1, options());
  const auto clumsy = shards.open(), good = shards.open();
  for (int i = 0; i < 15; ++i) {
    shards.ask(clumsy, "{");
    shards.ask(clumsy, R"({"type":"subscribe","channel":"secret:x"})");
    shards.ask(good, R"({"type":"ping"})");
  }
  pass(shards, 15);
  EXPECT_EQ(health_of(shards), (std::array<std::uint64_t, 3>{1, 1, 0}));
  const AnswerPart part = shards.sessions().answer(UserQuery{.tenant = 0, .user_id = "u"}, shards.now);
  ASSERT_EQ(part.connections.size(), 2u);
  EXPECT_EQ(part.connections[0].health.status(), guard::HealthStatus::healthy);  // the newest first
  EXPECT_EQ(part.connections[1].health.status(), guard::HealthStatus::degraded);
  shards.close(clumsy);
  EXPECT_EQ(health_of(shards), (std::array<std::uint64_t, 3>{1, 0, 0}));
}

// Documents that are not conflated for anybody are for whoever is behind and not well.
TEST(HealthPass, WhoIsNotWellGetsADocumentsEventsMergedAndTheOthersAsTheyCame) {
  TestShards shards(1, options());
  const auto ill = shards.open(TestShards::user("ill")), well = shards.open(TestShards::user("well"));
  const auto writer = shards.open(TestShards::user("writer"));
  shards.sessions().pass_health(shards.now);
  shards.sessions().on_round_trip(ill.handle, 10'000'000);
  pass(shards, 11);
  for (const auto& reader : {ill, well}) shards.ask(reader, R"({"type":"subscribe","channel":"doc:a"})");
  const auto publish_while_away = [&](std::initializer_list<const char*> forms) {
    shards.at(ill).full = shards.at(well).full = true;
    for (const char* form : forms)
      shards.ask(writer, R"({"type":"publish","channel":"doc:a",)" + std::string(form) + "}");
    shards.drained(ill);
    shards.drained(well);
  };
  publish_while_away({R"("merge":{"a":1})", R"("merge":{"b":2})", R"("merge":{"a":3})"});
  const auto merged = shards.take(ill);
  ASSERT_EQ(merged.size(), 1u);
  EXPECT_THAT(merged[0], testing::HasSubstr(R"("seq":3)"));
  EXPECT_THAT(merged[0], testing::HasSubstr(R"("first_seq":1)"));
  EXPECT_THAT(merged[0], testing::HasSubstr(R"("merge":{"a":3,"b":2})"));
  EXPECT_EQ(shards.take(well).size(), 3u);
  // What no one merge can say comes as the whole document.
  publish_while_away({R"("merge":{"c":1})", R"("patch":[{"op":"add","path":"/d","value":[1]}])"});
  const auto whole = shards.take(ill);
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_THAT(whole[0], testing::HasSubstr(R"("first_seq":4)"));
  EXPECT_THAT(whole[0], testing::HasSubstr(R"("data":{"a":3,"b":2,"c":1,"d":[1]})"));
  EXPECT_EQ(shards.take(well).size(), 2u);
}

TEST(HealthPass, WhoIsBehindGetsThePresenceListOnceInPlaceOfItsEvents) {
  TestShards shards(1, options());
  const auto ill = shards.open(TestShards::user("ill"));
  shards.ask(ill, R"({"type":"subscribe","channel":"room:a","presence":true})");
  shards.at(ill).full = true;
  for (int i = 0; i < 20; ++i)
    shards.ask(shards.open(TestShards::user("u" + std::to_string(i))),
               R"({"type":"presence","channel":"room:a","action":"enter"})");
  shards.drained(ill);
  const auto list = shards.take(ill);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_THAT(list[0], testing::HasSubstr(R"("type":"presence")"));
  EXPECT_THAT(list[0], testing::HasSubstr("u19"));
}

TEST(HealthPass, EndsTheUnhealthyOnlyWhenTheServerIsOverloaded) {
  TestShards shards(1, options());
  const auto ill = shards.open(), well = shards.open();
  const auto measure = [&] {
    shards.sessions().on_round_trip(ill.handle, 10'000'000);
    shards.sessions().on_round_trip(well.handle, 1'000);
  };
  for (int i = 0; i < 5; ++i) measure(), pass(shards, 11);
  EXPECT_EQ(shards.at(ill).closed, "");
  for (int i = 0; i < 30; ++i) {
    shards.pass(100);
    shards.limits.overload().report(0, 1'000'000, 0, shards.now.mono_ms());
    shards.limits.overload().judge(
        {.max_lag_ms = 100, .max_memory = 0}, [] { return std::int64_t{0}; }, shards.now.mono_ms());
  }
  ASSERT_EQ(shards.limits.overload().step(), guard::Shedding::shed_publishes);
  measure();
  pass(shards, 11);
  EXPECT_EQ(shards.at(ill).closed, "1013 overloaded");
  EXPECT_EQ(shards.at(well).closed, "");
}

}  // namespace
}  // namespace tidewire::hub
