// Session channels, from request to delivery: members, and what a membership lets in.
#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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
  auto operations = std::exchange(shards.operations(), {});
  ASSERT_EQ(operations.size(), 1u);
  shards.home().handle(append_fails(operations[0]), shards.now);
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

}  // namespace
}  // namespace tidewire::hub
