// Session channels, from request to delivery: members, and what a membership lets in.
#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST(SessionFlow, LetsNobodyInByAMembershipThatFails) {
  TestShards shards;
  const auto owner = shards.open(), bob = shards.open(TestShards::user("bob"));
  shards.ask(owner, publish_to("session:1", R"("event":"join")"));
  shards.log_held = true;
  shards.ask(owner, publish_to("session:1", R"("event":"join","data":{"user":"bob"})"));
  shards.say(bob, R"({"type":"history","channel":"session:1"})");
  shards.say(bob, R"({"type":"presence","action":"enter","channel":"session:1"})");
  shards.run();
  EXPECT_THAT(shards.take(bob), IsEmpty());
  shards.fail_append();
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(bob), ElementsAre(AllOf(HasSubstr("\"history\""), HasSubstr("forbidden")),
                                            AllOf(HasSubstr("\"presence\""), HasSubstr("unavailable"))));
  EXPECT_THAT(shards.ask(owner, R"({"type":"presence","action":"get","channel":"session:1"})"),
              Contains(HasSubstr("\"members\":[]")));
}

TEST(SessionFlow, TakesWhoClosedWhileItsEnterWaitedOutOfTheList) {
  TestShards shards;
  const auto owner = shards.open(), bob = shards.open(TestShards::user("bob"));
  shards.ask(owner, publish_to("session:1", R"("event":"join")"));
  shards.log_held = true;
  shards.ask(owner, publish_to("session:1", R"("event":"join","data":{"user":"bob"})"));
  shards.ask(bob, R"({"type":"presence","action":"enter","channel":"session:1"})");
  shards.close(bob);
  shards.run();
  shards.log_held = false;
  shards.run();
  const std::string get = R"({"type":"presence","action":"get","channel":"session:1"})";
  EXPECT_THAT(shards.ask(owner, get), Contains(HasSubstr("\"bob\"")));
  shards.pass(5'000);
  shards.tick();
  EXPECT_THAT(shards.ask(owner, get), ElementsAre(HasSubstr("\"members\":[]")));
}

TEST(SessionFlow, TellsAStrangerNothing) {
  TestShards shards;
  const auto owner = shards.open(TestShards::user("a")), stranger = shards.open(TestShards::user("b"));
  shards.ask(owner, publish_to("session:1", R"("event":"join")"));
  EXPECT_EQ(shards.code_of(stranger, subscribe_to("session:1")), "forbidden");
  EXPECT_EQ(shards.code_of(stranger, R"({"type":"history","channel":"session:1"})"), "forbidden");
  EXPECT_EQ(shards.code_of(stranger, publish_to("session:1", R"("data":1)")), "forbidden");
  EXPECT_EQ(shards.code_of(stranger, R"({"type":"ack","channel":"user:a","up_to":1})"), "forbidden");
  EXPECT_EQ(shards.code_of(stranger, R"({"type":"ack","channel":"room:a","up_to":1})"), "invalid_message");
  EXPECT_EQ(shards.code_of(shards.open(nullptr), subscribe_to("session:1")), "unauthorized");
}

// A session of `a` with the member `b`, who is subscribed and follows its inbox.
struct SessionOfTwo {
  SessionOfTwo() {
    say(R"("event":"join")");
    say(R"("event":"join","data":{"user":"b"})");
    shards.ask(b, subscribe_to("session:1"));
  }
  void say(const std::string& rest) { shards.ask(a, publish_to("session:1", rest)); }
  void remove_b() { say(R"("event":"leave","data":{"user":"b"})"); }

  TestShards shards;
  TestShards::Peer a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"), 0, false);
};

const std::string kRevoked = R"({"type":"unsubscribed","channel":"session:1","code":"revoked"})";

TEST(SessionFlow, GivesWhoIsRemovedWhileItIsBehindWhatCameBefore) {
  SessionOfTwo two;
  two.shards.at(two.b).full = true;
  for (const char* data : {"1", "2"}) two.say(R"("data":)" + std::string(data));
  two.remove_b();
  two.say(R"("data":3)");
  EXPECT_THAT(two.shards.take(two.b), IsEmpty());
  two.shards.drained(two.b);
  EXPECT_THAT(two.shards.take(two.b),
              ElementsAre(HasSubstr(R"("data":1)"), HasSubstr(R"("data":2)"), kRevoked));
  two.say(R"("data":4)");
  EXPECT_THAT(two.shards.take(two.b), IsEmpty());
}

TEST(SessionFlow, GivesWhoIsRemovedWhileAPageIsReadWhatCameBefore) {
  SessionOfTwo two;
  two.shards.at(two.b).full = true;
  two.say(R"("data":1)");
  two.shards.at(two.b).full = false;
  two.shards.sessions().on_drained(two.b.handle, two.shards.now);
  two.remove_b();
  EXPECT_THAT(two.shards.take(two.b), ElementsAre(HasSubstr(R"("data":1)"), kRevoked));
}

TEST(SessionFlow, GivesWhoIsRemovedBeforeItsSubscribedIsOutWhatCameBetween) {
  SessionOfTwo two;
  const auto b = two.shards.open(TestShards::user("b"));
  two.shards.ask(b, publish_to("log:1", R"("data":0)"));
  two.shards.log_held = true;
  two.shards.say(b, publish_to("log:1", R"("data":0)"));  // whose answer the next one waits for
  two.shards.say(b, subscribe_to("session:1"));
  two.shards.run();
  EXPECT_THAT(two.shards.take(b), IsEmpty());
  // The session's entries are safe before the one in the other channel.
  auto held = std::exchange(two.shards.operations(), {});
  two.shards.log_held = false;
  two.say(R"("data":1)");
  two.remove_b();
  for (log::Operation& operation : held) two.shards.operations().push_back(std::move(operation));
  two.shards.run();
  EXPECT_THAT(two.shards.take(b), ElementsAre(HasSubstr("\"published\""), HasSubstr("\"subscribed\""),
                                              HasSubstr(R"("data":1)"), kRevoked));
}

TEST(SessionFlow, TellsWhoHasComeBackWhileItsOldSubscriptionEnds) {
  SessionOfTwo two;
  two.shards.at(two.b).full = true;
  two.say(R"("data":1)");
  two.remove_b();
  two.say(R"("event":"join","data":{"user":"b"})");
  two.say(R"("data":2)");
  two.shards.drained(two.b);
  two.shards.drained(two.b);
  EXPECT_THAT(two.shards.take(two.b),
              UnorderedElementsAre(HasSubstr(R"("data":1)"), kRevoked,
                                   AllOf(HasSubstr("session_message"), HasSubstr(R"("data":2)"))));
}

TEST(SessionFlow, EndsAtOnceWhereARightIsTakenFromWhoIsRemoved) {
  SessionOfTwo two;
  two.shards.at(two.b).full = true;
  two.say(R"("data":1)");
  two.remove_b();
  auto list = test_namespaces();
  std::erase_if(list, [](const Namespace& ns) { return ns.name == "session"; });
  two.shards.namespaces.replace(list);
  two.shards.sessions().begin_reviews();
  two.shards.sessions().pass_reviews();
  two.shards.run();
  EXPECT_THAT(two.shards.take(two.b), ElementsAre(kRevoked));
}

}  // namespace
}  // namespace tidewire::hub
