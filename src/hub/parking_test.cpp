// Inboxes that are empty and idle give their memory back (Home::park), and nobody can tell.
#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string publish(const std::string& rest = {}) {
  return R"({"type":"publish","channel":"user:u")" + rest + "}";
}
const std::string kAckAll = R"({"type":"ack","channel":"user:u","up_to":1000})";

std::string epoch_in(const std::string& json) {
  const std::size_t at = json.find("\"epoch\":\"") + 9;
  return json.substr(at, json.find('"', at) - at);
}

struct Parking : testing::Test {
  bool parked() { return shards.home().parked() == 1; }
  // Lets it be idle for so long; whether it is parked then.
  bool parks(std::int64_t idle_ms = Home::kParkMs) {
    shards.pass(idle_ms);
    shards.tick();
    return parked();
  }
  // A connection that follows its user's inbox; what it was told of it is in `subscribed`.
  TestShards::Peer follower() {
    const auto peer = shards.open(TestShards::user("u"), 0, false);
    shards.run();
    subscribed = shards.take(peer).back();
    return peer;
  }
  TestShards shards;
  TestShards::Peer server = shards.open(TestShards::user("s"));
  std::string subscribed;
};

TEST_F(Parking, AnEmptyInboxIsParkedAndDeliversAtOnce) {
  const auto u = follower();
  EXPECT_TRUE(parked());
  const auto published = shards.ask(server, publish());
  EXPECT_THAT(published, ElementsAre(AllOf(HasSubstr("\"seq\":1"),
                                           HasSubstr("\"epoch\":\"" + epoch_in(subscribed) + '"'))));
  EXPECT_THAT(shards.take(u), ElementsAre(AllOf(HasSubstr("\"message\""), HasSubstr("\"seq\":1"))));
  EXPECT_FALSE(parked());
}

TEST_F(Parking, OneThatIsUsedIsNotParkedBetweenTwoUses) {
  const auto u = follower();
  shards.ask(server, publish());
  shards.ask(u, kAckAll);
  EXPECT_FALSE(parks(Home::kParkMs - 1));
  EXPECT_TRUE(parks(1));
  shards.ask(u, R"({"type":"history","channel":"user:u"})");
  EXPECT_FALSE(parked());
  EXPECT_TRUE(parks());
}

TEST_F(Parking, WhatWaitsIsNotParked) {
  const auto u = follower();
  shards.ask(server, publish());
  EXPECT_FALSE(parks());
  EXPECT_THAT(shards.take(u), ElementsAre(HasSubstr("\"seq\":1")));
  shards.ask(u, kAckAll);
  EXPECT_TRUE(parks());
}

TEST_F(Parking, WhatHasExpiredNeedsNoMemory) {
  follower();
  shards.ask(server, publish(R"(,"ttl_ms":60000)"));
  EXPECT_FALSE(parks(59'999));
  EXPECT_TRUE(parks(1));
  const auto late = follower();
  EXPECT_THAT(subscribed, HasSubstr("\"seq\":1"));
  EXPECT_THAT(shards.ask(late, R"({"type":"ack","channel":"user:u","seqs":[1]})"),
              ElementsAre(HasSubstr(R"("seqs":[],"pending":0)")));
}

TEST_F(Parking, APositionKeepsItsMeaning) {
  const auto u = follower();
  for (int i = 0; i < 3; ++i) shards.ask(server, publish());
  shards.ask(u, kAckAll);
  ASSERT_TRUE(parks());
  const auto other = shards.open(TestShards::user("u"));
  const auto resumed = shards.ask(other, R"({"type":"subscribe","channel":"user:u","since":{"epoch":")" +
                                             epoch_in(subscribed) + R"(","seq":2}})");
  EXPECT_THAT(resumed.at(0),
              AllOf(HasSubstr("\"recovered\":true"), HasSubstr("\"seq\":3"), HasSubstr("\"event\":\"ack\"")));
  ASSERT_TRUE(parks());
  EXPECT_THAT(shards.ask(server, publish()), ElementsAre(HasSubstr("\"seq\":5")));
  EXPECT_THAT(shards.take(u), Contains(HasSubstr("\"seq\":5")));
  EXPECT_THAT(shards.take(other), ElementsAre(HasSubstr("\"seq\":5")));
}

TEST_F(Parking, WhatWasSentBeforeIsRedelivered) {
  const auto u = follower();
  shards.ask(server, publish());
  shards.ask(u, kAckAll);
  ASSERT_TRUE(parks());
  shards.ask(server, publish());
  EXPECT_THAT(shards.take(u), Contains(HasSubstr("\"seq\":3")));
  const auto other = shards.open(TestShards::user("u"), 0, false);
  shards.run();
  EXPECT_THAT(shards.take(other), Contains(HasSubstr("\"redelivered\":true,\"seq\":3")));
}

TEST_F(Parking, AKeyIsRemembered) {
  const auto u = follower();
  shards.ask(server, publish(R"(,"key":"k")"));
  shards.ask(u, kAckAll);
  ASSERT_TRUE(parks());
  EXPECT_THAT(shards.ask(server, publish(R"(,"key":"k")")),
              ElementsAre(AllOf(HasSubstr("\"seq\":1"), HasSubstr("\"duplicate\":true"))));
}

TEST_F(Parking, OneThatNobodyFollowsAnyMoreIsForgotten) {
  const auto u = follower();
  ASSERT_TRUE(parks());
  shards.ask(server, publish());
  shards.ask(u, kAckAll);
  shards.close(u);
  shards.run();
  EXPECT_EQ(shards.home().size(), 1u);
  shards.pass(Home::kParkMs);
  shards.tick();
  EXPECT_EQ(shards.home().size(), 0u);
  shards.close(follower());
  shards.run();
  EXPECT_EQ(shards.home().size(), 0u);
  const std::string before = subscribed;
  follower();
  EXPECT_EQ(epoch_in(subscribed), epoch_in(before));
}

TEST_F(Parking, ASubscriberThatIsBehindIsCaughtUp) {
  const auto u = follower(), other = follower();
  shards.at(u).full = true;
  shards.ask(server, publish());
  shards.ask(other, kAckAll);
  ASSERT_TRUE(parks());
  shards.drained(u);
  EXPECT_THAT(shards.take(u), ElementsAre(HasSubstr("\"seq\":1"), HasSubstr("\"event\":\"ack\"")));
  ASSERT_TRUE(parks());
  shards.ask(server, publish());
  EXPECT_THAT(shards.take(u), ElementsAre(HasSubstr("\"seq\":3")));
}

TEST_F(Parking, SeveralCommandsWaitForItsLog) {
  const auto u = follower();
  ASSERT_TRUE(parks());
  shards.log_held = true;
  shards.say(server, publish());
  shards.say(server, publish());
  shards.say(u, R"({"type":"history","channel":"user:u"})");
  shards.run();
  EXPECT_THAT(shards.operations(), testing::SizeIs(1));
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(server), ElementsAre(HasSubstr("\"seq\":1"), HasSubstr("\"seq\":2")));
  EXPECT_THAT(shards.take(u),
              ElementsAre(HasSubstr("\"history\""), HasSubstr("\"seq\":1"), HasSubstr("\"seq\":2")));
}

TEST_F(Parking, ALogThatCanNotBeOpenedIsTriedAgain) {
  const auto u = follower();
  ASSERT_TRUE(parks());
  shards.log_held = true;
  shards.say(server, publish());
  shards.run();
  const auto channel = std::get<log::Open>(shards.operations().at(0)).channel;
  shards.operations().clear();
  shards.home().handle(
      log::Failed{
          .channel = channel, .what = log::Failed::What::open, .error = fail(ErrorCode::unavailable).error()},
      shards.now);
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(server), ElementsAre(HasSubstr("unavailable")));
  EXPECT_EQ(shards.code_of(server, publish()), "unavailable");
  shards.pass(1'000);
  EXPECT_THAT(shards.ask(server, publish()), ElementsAre(HasSubstr("\"seq\":1")));
  EXPECT_THAT(shards.take(u), ElementsAre(HasSubstr("\"seq\":1")));
  EXPECT_FALSE(parks());
}

// Whoever follows would take the numbers of the new epoch for those of the old.
TEST_F(Parking, DamageThatComesToLightShowsItsStateAnew) {
  const auto u = follower(), other = follower();
  const auto manual = shards.open(TestShards::user("u"));
  ASSERT_TRUE(parks());
  shards.log_held = true;
  shards.say(manual, R"({"type":"subscribe","channel":"user:u"})");
  shards.run();
  const auto open = std::get<log::Open>(shards.operations().at(0));
  EXPECT_EQ(open.known_epoch, epoch_in(subscribed));
  EXPECT_NE(open.epoch, open.known_epoch);
  shards.operations().clear();
  shards.home().handle(log::Opened{.channel = open.channel,
                                   .epoch = open.epoch,
                                   .first_seq = 1,
                                   .last_seq = 0,
                                   .tail = {},
                                   .keys = {},
                                   .snapshot_seq = 0,
                                   .snapshot = {},
                                   .mark = 0},
                       shards.now);
  shards.log_held = false;
  shards.run();
  for (const auto& peer : {u, other}) {
    shards.drained(peer);
    EXPECT_THAT(shards.take(peer), ElementsAre(HasSubstr(R"("type":"snapshot","channel":"user:u")")));
  }
  EXPECT_THAT(shards.take(manual), ElementsAre(HasSubstr("\"epoch\":\"" + open.epoch + '"')));
  EXPECT_EQ(shards.sessions().counts().subscriptions, 3u);
}

TEST_F(Parking, AStreamAndADocumentStayAsTheyAre) {
  const auto u = shards.open(TestShards::user("u"));
  shards.ask(u, R"({"type":"subscribe","channel":"log:1"})");
  shards.ask(u, R"({"type":"subscribe","channel":"doc:1"})");
  EXPECT_FALSE(parks());
}

}  // namespace
}  // namespace tidewire::hub
