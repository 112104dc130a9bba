// What an overloaded server refuses, and what it does not (requirement P7).
#include "guard/frame_pacer.h"
#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

void overload(TestShards& shards) {
  for (int i = 0; i < 40; ++i) {
    shards.pass(100);
    shards.limits.overload().report(0, 1'000'000, 0, shards.now.mono_ms());
    shards.limits.overload().judge(
        {.max_lag_ms = 100, .max_memory = 0}, [] { return std::int64_t{0}; }, shards.now.mono_ms());
  }
  ASSERT_EQ(shards.limits.overload().step(), guard::Shedding::shed_publishes);
}

TEST(Overloaded, RefusesAShareOfThePublishesWithWhenToComeBack) {
  TestShards shards;
  const auto peer = shards.open();
  overload(shards);
  int taken = 0;
  std::string refusal;
  for (int i = 0; i < 200; ++i) {
    const auto sent = shards.ask(peer, R"({"type":"publish","channel":"room:a","data":1,"id":"x"})");
    ASSERT_EQ(sent.size(), 1u);
    if (sent[0].starts_with(R"({"type":"published")"))
      ++taken;
    else
      refusal = sent[0];
  }
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, 100);
  EXPECT_NE(refusal.find(R"("code":"unavailable")"), std::string::npos) << refusal;
  EXPECT_NE(refusal.find(R"("retry_after_ms":2000)"), std::string::npos) << refusal;
  EXPECT_EQ(shards.limits.overload().shed_publishes(), static_cast<std::uint64_t>(200 - taken));
}

TEST(Overloaded, TakesWhatIsCriticalAndAnswersEverythingElse) {
  TestShards shards;
  const auto peer = shards.open();
  overload(shards);
  for (int i = 0; i < 50; ++i)
    ASSERT_EQ(shards.code_of(peer, R"({"type":"publish","channel":"high:a","data":1})"), "taken");
  EXPECT_EQ(shards.code_of(peer, R"({"type":"ping"})"), "taken");
  EXPECT_EQ(shards.code_of(peer, R"({"type":"subscribe","channel":"room:a"})"), "taken");
  EXPECT_EQ(shards.code_of(peer, R"({"type":"history","channel":"room:a"})"), "taken");
}

TEST(Overloaded, IsNoFaultOfTheConnection) {
  TestShards shards;
  const auto peer = shards.open();
  overload(shards);
  for (int i = 0; i < 50; ++i) shards.ask(peer, R"({"type":"publish","channel":"room:a","data":1})");
  EXPECT_EQ(shards.sessions().session(peer.handle)->health.error_rate(), 0);
}

TEST(Requests, AreMeasuredToTheEndOfTheTurnThatAnswersThem) {
  TestShards shards;
  const auto peer = shards.open();
  shards.ask(peer, R"({"type":"ping"})");
  shards.sessions().end_turn(shards.now, 700);
  shards.log_held = true;
  shards.ask(peer, R"({"type":"publish","channel":"log:a","data":1})");
  shards.sessions().end_turn(shards.now, 10);
  shards.pass(5);
  shards.log_held = false;
  shards.run();
  shards.sessions().end_turn(shards.now, 100);
  const Analytics all = shards.sessions().recent().over(0, {}, shards.now);
  EXPECT_EQ(all.requests.count(), 2u);
  EXPECT_EQ(all.requests.sum_us(), 700u + 5'100u);
}

// The guard's whole state of a connection (issue 4, point 9).
TEST(GuardCost, IsAtMost200BytesPerConnection) {
  constexpr std::size_t kSession = sizeof(Session::limiter) + sizeof(Session::adaptive) +
                                   sizeof(SessionExtras::malformed) + sizeof(SessionExtras::auth_rate) +
                                   sizeof(Session::shared_keys) + sizeof(Session::health) +
                                   sizeof(Session::activity) + sizeof(SessionExtras::held_until_ms);
  constexpr std::size_t kConnection =
      sizeof(guard::FramePacer) + sizeof(guard::HealthStatus) + 2 * sizeof(std::int64_t);  // of its pace
  constexpr std::size_t kDetails = 32;  // of the meter, for one that talks
  EXPECT_LE(kSession + kConnection + kDetails, 200u);
  RecordProperty("bytes", static_cast<int>(kSession + kConnection + kDetails));
}

}  // namespace
}  // namespace tidewire::hub
