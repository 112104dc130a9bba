// Channels of `durability: disk`: commit, then show (protocol §5, guarantee 3).

#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kPublish = R"({"type":"publish","id":"p","channel":"log:1"})";
const std::string kSubscribe = R"({"type":"subscribe","id":"s","channel":"log:1"})";

TEST(DurableFlow, ShowsNothingBeforeItIsStored) {
  TestShards shards;
  const auto a = shards.open();
  shards.ask(a, kSubscribe);
  shards.log_held = true;
  EXPECT_THAT(shards.ask(a, kPublish), IsEmpty());
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("\"published\""), HasSubstr("\"message\"")));
}

TEST(DurableFlow, HoldsCommandsUntilTheLogIsOpen) {
  TestShards shards;
  const auto a = shards.open();
  shards.log_held = true;
  shards.say(a, kSubscribe);
  shards.say(a, kPublish);
  shards.say(a, R"({"type":"history","id":"h","channel":"log:1"})");
  shards.run();
  EXPECT_THAT(shards.take(a), IsEmpty());
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("\"subscribed\""), HasSubstr("\"published\""),
                                          HasSubstr("\"history\""), HasSubstr("\"message\"")));
}

TEST(DurableFlow, AnswersAHistoryBehindWhatWasPublishedBeforeIt) {
  TestShards shards;
  const auto a = shards.open();
  for (const std::string channel : {"log:1", "doc:1", "user:u"}) {
    shards.log_held = false;
    const std::string to = R"({"channel":")" + channel + "\",";
    const std::string publish = to + R"("type":"publish","data":1})", history = to + R"("type":"history"})";
    shards.ask(a, publish);
    shards.log_held = true;
    shards.ask(a, publish);
    EXPECT_THAT(shards.ask(a, history), IsEmpty());
    if (channel == "log:1") {  // what fails before it is not in it
      shards.fail_append();
    }
    shards.log_held = false;
    shards.run();
    const std::string last = channel == "log:1" ? "\"last\":1," : "\"last\":2,";
    EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("\"publish"), HasSubstr(last)));
  }
}

TEST(DurableFlow, KeepsAnEphemeralMessageBehindWhatIsOnItsWay) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  shards.ask(b, kSubscribe);
  const std::string ephemeral = R"({"type":"publish","channel":"log:1","data":"e","ephemeral":true})";
  for (const bool fails : {false, true}) {
    shards.log_held = true;
    shards.say(a, kPublish);
    shards.say(a, ephemeral);
    shards.run();
    EXPECT_THAT(shards.take(b), IsEmpty());
    auto operations = std::exchange(shards.operations(), {});
    ASSERT_EQ(operations.size(), 1u);
    if (fails)
      shards.home().handle(append_fails(operations[0]), shards.now);
    else
      shards.operations() = std::move(operations);
    shards.log_held = false;
    shards.run();
    if (fails)
      EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("\"e\"")));
    else
      EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("\"seq\":1,"), HasSubstr("\"e\"")));
  }
}

TEST(DurableFlow, KeepsABoundedAmountOfEphemeralMessagesWaiting) {
  TestShards shards;
  const auto a = shards.open();
  shards.ask(a, kPublish);
  shards.log_held = true;
  shards.ask(a, kPublish);
  const std::string large(DurableState::kHeldBytes / 2, 'x');
  for (int i = 0; i < 2; ++i)
    shards.say(a, R"({"type":"publish","channel":"log:1","ephemeral":true,"data":")" + large + "\"}");
  shards.run();
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(a),
              ElementsAre(HasSubstr("\"seq\":2"), HasSubstr("\"ephemeral\":true"), HasSubstr("unavailable")));
}

TEST(DurableFlow, SkipsNoNumberWhenAnAppendFails) {
  TestShards shards;
  const auto a = shards.open();
  shards.ask(a, kSubscribe);
  shards.ask(a, kPublish);
  shards.log_held = true;
  shards.ask(a, kPublish);
  ASSERT_EQ(shards.operations().size(), 1u);
  shards.take(a);
  shards.home().handle(append_fails(shards.operations()[0]), shards.now);
  shards.operations().clear();
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(a),
              ElementsAre(HasSubstr(R"("request":"publish","channel":"log:1","code":"unavailable")")));
  EXPECT_THAT(shards.ask(a, kPublish), ElementsAre(HasSubstr("\"seq\":2"), HasSubstr("\"seq\":2")));
}

TEST(DurableFlow, FailsWhatWasSubmittedBehindAFailedAppend) {
  TestShards shards;
  const auto a = shards.open();
  shards.ask(a, kSubscribe);
  shards.log_held = true;
  shards.ask(a, kPublish);
  shards.ask(a, kPublish);
  auto operations = std::exchange(shards.operations(), {});
  ASSERT_EQ(operations.size(), 2u);
  for (const log::Operation& operation : operations)
    shards.home().handle(append_fails(operation), shards.now);
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("unavailable"), HasSubstr("unavailable")));
  EXPECT_THAT(shards.ask(a, kPublish), ElementsAre(HasSubstr("\"seq\":1"), HasSubstr("\"seq\":1")));
}

TEST(DurableFlow, AnswersARepeatOfAKeyThatIsStillOnItsWay) {
  TestShards shards;
  const auto a = shards.open();
  shards.ask(a, kSubscribe);
  shards.log_held = true;
  const std::string keyed = R"({"type":"publish","key":"k","channel":"log:1"})";
  shards.ask(a, keyed);
  shards.ask(a, keyed);
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("\"seq\":1}"), HasSubstr("\"seq\":1,\"duplicate\":true}"),
                                          HasSubstr("\"message\"")));
}

TEST(DurableFlow, KeepsEpochSeqAndKeysWhileNobodyUsesIt) {
  TestShards shards;
  const auto a = shards.open();
  const auto first = shards.ask(a, R"({"type":"publish","channel":"log:1"})");
  shards.pass(Home::kIdleMs + 1);
  shards.tick();
  EXPECT_EQ(shards.home().size(), 0u);
  const auto second = shards.ask(a, R"({"type":"publish","channel":"log:1"})");
  EXPECT_EQ(second.at(0).substr(0, second[0].find("\"seq\"")),
            first.at(0).substr(0, first[0].find("\"seq\"")));
  EXPECT_THAT(second[0], HasSubstr("\"seq\":2"));
}

TEST(DurableFlow, GivesTheLastMessagesAlsoWhereTheCacheIsTooSmallForThem) {
  TestShards shards;
  const auto a = shards.open();
  const std::string large =
      R"({"type":"publish","channel":"log:1","data":")" + std::string(50'000, 'x') + "\"}";
  for (int i = 0; i < 12; ++i) shards.ask(a, large);
  std::size_t messages = 0;
  shards.say(a, R"({"type":"subscribe","channel":"log:1","history":10})");
  shards.run();
  for (int i = 0; i < 5; ++i) shards.drained(a);
  for (const std::string& text : shards.take(a)) messages += text.starts_with(R"({"type":"message")");
  EXPECT_EQ(messages, 10u);
}

TEST(DurableFlow, RefusesEverythingWhereTheLogCanNotBeOpened) {
  TestShards shards;
  const auto a = shards.open();
  shards.log_held = true;
  shards.say(a, kSubscribe);
  shards.say(a, kPublish);
  shards.run();
  const auto channel = std::get<log::Open>(shards.operations().at(0)).channel;
  shards.operations().clear();
  shards.home().handle(
      log::Failed{
          .channel = channel, .what = log::Failed::What::open, .error = fail(ErrorCode::unavailable).error()},
      shards.now);
  shards.run();
  EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("unavailable"), HasSubstr("unavailable")));
  EXPECT_EQ(shards.code_of(a, R"({"type":"unsubscribe","channel":"log:1"})"), "not_subscribed");
  EXPECT_EQ(shards.code_of(a, kPublish), "unavailable");
  EXPECT_EQ(shards.sessions().replicas(), 0u);
}

TEST(DurableFlow, CountsNoSubscriberThatLeftBeforeTheLogWasOpen) {
  TestShards shards;
  const auto a = shards.open();
  shards.log_held = true;
  shards.say(a, kSubscribe);
  shards.say(a, R"({"type":"unsubscribe","channel":"log:1"})");
  shards.close(a);
  shards.log_held = false;
  shards.run();
  shards.pass(Home::kIdleMs + 1);
  shards.tick();
  EXPECT_EQ(shards.home().size(), 0u);
}

TEST(DurableFlow, EndsASubscriptionThatCanNotBeCaughtUpAndGoesOnWithTheOthers) {
  TestShards shards;
  const auto slow = shards.open();
  shards.ask(slow, R"({"type":"subscribe","channel":"room:1"})");
  const auto lost = [&](std::uint32_t number) {
    shards.sessions().handle(
        SubscriptionLost{
            .follower = {}, .session = slow.handle, .subscription = number, .code = "unavailable"},
        shards.now);
  };
  lost(9);  // one that has ended meanwhile
  EXPECT_THAT(shards.take(slow), IsEmpty());
  lost(1);
  EXPECT_THAT(shards.take(slow),
              ElementsAre(R"({"type":"unsubscribed","channel":"room:1","code":"unavailable"})"));
  EXPECT_EQ(shards.code_of(slow, R"({"type":"unsubscribe","channel":"room:1"})"), "not_subscribed");
}

TEST(DurableFlow, GoesOnWithTheOthersWhenWhatWasBeingFetchedIsLostAndWasUnsubscribed) {
  TestShards shards;
  const auto slow = shards.open(TestShards::user("a")), fast = shards.open(TestShards::user("b"));
  for (const char* channel : {"high:1", "room:1"})
    shards.ask(slow, std::string(R"({"type":"subscribe","channel":")") + channel + "\"}");
  shards.at(slow).full = true;
  for (const char* channel : {"high:1", "room:1"})
    shards.ask(fast, std::string(R"({"type":"publish","channel":")") + channel + "\"}");
  shards.at(slow).full = false;
  shards.at(slow).wants_drained = false;
  // The first is fetched; its answer is a loss, and comes after the client has unsubscribed.
  shards.say(slow, R"({"type":"unsubscribe","channel":"high:1"})");
  shards.sessions().handle(
      SubscriptionLost{.follower = {}, .session = slow.handle, .subscription = 1, .code = "unavailable"},
      shards.now);
  shards.run();
  EXPECT_THAT(shards.take(slow),
              ElementsAre(HasSubstr("unsubscribed"), HasSubstr(R"("channel":"room:1","seq":1)")));
}

// The log fails this shard's only Append; what the home then asks of it stays.
void fail_append(TestShards& shards) {
  auto operations = std::exchange(shards.operations(), {});
  const auto append = std::ranges::find_if(
      operations, [](const auto& operation) { return std::holds_alternative<log::Append>(operation); });
  ASSERT_NE(append, operations.end());
  shards.home().handle(append_fails(*append), shards.now);
}

std::string merge_of(int value) {
  return R"({"type":"publish","id":"p","channel":"board:1","merge":{"a":)" + std::to_string(value) + "}}";
}

TEST(DurableFlow, TellsNothingOfAStateThatAFailedAppendLeft) {
  TestShards shards;
  const auto a = shards.open();
  shards.ask(a, R"({"type":"subscribe","id":"s","channel":"board:1"})");
  shards.ask(a, merge_of(1));  // told at once
  shards.ask(a, merge_of(2));  // held back
  shards.log_held = true;
  EXPECT_THAT(shards.ask(a, merge_of(3)), IsEmpty());
  fail_append(shards);
  shards.run();
  EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("unavailable")));
  shards.pass(200);
  shards.tick();  // the window ends while the log is being opened again
  EXPECT_THAT(shards.take(a), IsEmpty());
  shards.log_held = false;
  shards.run();
  shards.tick();
  EXPECT_THAT(shards.take(a), ElementsAre(AllOf(HasSubstr("\"seq\":2"), HasSubstr(R"("merge":{"a":2})"))));
  // And never again.
  shards.ask(a, merge_of(4));
  shards.ask(a, merge_of(5));
  shards.take(a);
  shards.pass(200);
  shards.tick();
  EXPECT_THAT(shards.take(a), ElementsAre(AllOf(HasSubstr("\"seq\":4"), HasSubstr(R"("merge":{"a":5})"))));
}

}  // namespace
}  // namespace tidewire::hub
