// Runs of agents, from request to delivery: merged deltas, and runs without a creator.
#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(AgentFlow, MergesTheDeltasOfARunForASlowReader) {
  TestShards shards;
  const auto a = shards.open();
  const auto reader = shards.open(TestShards::user("u"));
  const auto delta = [](const std::string& text) {
    return publish_to("agent:1", R"("event":"delta","data":{"text":")" + text + "\"}");
  };
  shards.ask(a, delta("a"));
  shards.ask(reader, subscribe_to("agent:1"));
  shards.at(reader).full = true;
  for (const char* text : {"b", "c", "d"}) shards.ask(a, delta(text));
  shards.drained(reader);
  EXPECT_THAT(shards.take(reader),
              ElementsAre(AllOf(HasSubstr("\"seq\":4,\"first_seq\":2"), HasSubstr(R"("text":"bcd")"))));
}

TEST(AgentFlow, EndsARunWhoseCreatorIsGone) {
  TestShards shards(2);
  const auto creator = shards.open(TestShards::user("c"), 1), reader = shards.open(TestShards::user("c"), 0);
  shards.ask(creator, publish_to("agent:1", R"("event":"start")"));
  shards.ask(reader, subscribe_to("agent:1"));
  shards.pass(61'000);
  shards.tick();
  EXPECT_THAT(shards.take(reader), IsEmpty());  // it has connections
  shards.close(creator);
  shards.close(reader);
  shards.pass(61'000);
  shards.tick();
  const auto late = shards.open(TestShards::user("c"), 0);
  EXPECT_THAT(shards.ask(late, subscribe_to("agent:1")),
              ElementsAre(AllOf(HasSubstr("\"seq\":2"), HasSubstr(R"("status":"failed")"))));
}

}  // namespace
}  // namespace tidewire::hub
