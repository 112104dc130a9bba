// Inboxes, from request to delivery: who follows them, what waited, and what they cost. (Parked ones:
// parking_test.)
#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

TEST(InboxFlow, ALargeInboxThatNobodyFollowsSoonGivesItsMemoryBack) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a"));
  const std::string large(Home::kLargeInboxBytes, 'x');
  shards.ask(a, publish_to("user:small", R"("data":1)"));
  shards.ask(a, publish_to("user:large", R"("data":")" + large + '"'));
  EXPECT_EQ(shards.home().size(), 2u);
  shards.pass(Home::kParkMs);
  shards.tick();
  EXPECT_EQ(shards.home().size(), 1u);
  const auto u = shards.open(TestShards::user("large"));
  EXPECT_THAT(shards.ask(u, subscribe_to("user:large")), Contains(HasSubstr(large)));
}

TEST(InboxFlow, FollowsTheInboxOfAnAuthenticatedConnection) {
  TestShards shards;
  const auto server = shards.open(TestShards::user("s"));
  for (const char* priority : {"low", "critical", "medium"})
    shards.ask(server, publish_to("user:u", R"("priority":")" + std::string(priority) + "\""));
  const auto u = shards.open(TestShards::user("u"), 0, false);
  shards.run();
  const auto got = shards.take(u);
  ASSERT_THAT(got, SizeIs(4));
  EXPECT_THAT(got[0], AllOf(HasSubstr("\"subscribed\""), HasSubstr("\"seq\":3"), Not(HasSubstr("snapshot"))));
  EXPECT_THAT(got[1], HasSubstr("\"seq\":2,"));
  EXPECT_THAT(got[2], HasSubstr("\"seq\":3,"));
  EXPECT_THAT(got[3], AllOf(HasSubstr("\"seq\":1,"), Not(HasSubstr("redelivered"))));

  const auto other = shards.open(TestShards::user("u"), 0, false);
  shards.run();
  EXPECT_THAT(shards.take(other), Contains(HasSubstr("\"redelivered\":true,\"seq\":2")));
  for (const auto& device : {u, other}) shards.drained(device);
  EXPECT_THAT(shards.ask(u, R"({"type":"ack","id":5,"channel":"user:u","seqs":[2,9]})"),
              ElementsAre(R"({"type":"acked","id":5,"channel":"user:u","seq":4,"seqs":[2],"pending":2})"));
  EXPECT_THAT(shards.take(other), ElementsAre(AllOf(HasSubstr(R"("event":"ack")"), HasSubstr("[2]"))));
}

TEST(InboxFlow, SendsALargeBacklogAtTheReadersPace) {
  TestShards shards;
  const auto server = shards.open(TestShards::user("s"));
  const std::string text(100'000, 'x');
  for (int i = 0; i < 10; ++i) shards.ask(server, publish_to("user:u", R"("data":")" + text + "\""));
  const auto u = shards.open(TestShards::user("u"));
  shards.at(u).full = true;
  shards.ask(u, subscribe_to("user:u", R"(,"snapshot":false)"));
  shards.take(u);
  shards.ask(server, publish_to("user:u", R"("data":"live")"));
  std::vector<std::string> got;
  for (int i = 0; i < 10; ++i) {
    shards.drained(u);
    const auto more = shards.take(u);
    EXPECT_LE(more.size(), 4u);
    got.insert(got.end(), more.begin(), more.end());
  }
  ASSERT_EQ(got.size(), 11u);
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_THAT(got[i], HasSubstr("\"seq\":" + std::to_string(i + 1) + ","));
}

}  // namespace
}  // namespace tidewire::hub
