// Documents, from request to delivery: a state that is ahead of the log, and windows. The rules of the kind
// are tested beside it, in src/kinds.
#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(DocumentFlow, ChecksAnEventAgainstThoseThatAreStillOnTheirWay) {
  TestShards shards;
  const auto a = shards.open();
  shards.ask(a, publish_to("doc:1", R"("data":{"n":1})"));
  shards.log_held = true;
  shards.ask(a, publish_to("doc:1", R"("merge":{"n":2},"if_seq":1)"));
  EXPECT_THAT(shards.ask(a, publish_to("doc:1", R"("merge":{"n":3},"if_seq":2)")), IsEmpty());
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("\"seq\":2"), HasSubstr("\"seq\":3")));
}

TEST(DocumentFlow, SaysNothingOfAStateThatIsNotSafeYet) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  shards.ask(a, publish_to("doc:1", R"("data":1)"));
  shards.log_held = true;
  shards.ask(a, publish_to("doc:1", R"("data":2)"));
  EXPECT_THAT(shards.ask(b, subscribe_to("doc:1")), IsEmpty());
  EXPECT_THAT(shards.ask(b, publish_to("doc:1", R"("data":3,"if_seq":1)")), IsEmpty());
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr(R"("snapshot":{"seq":2,"data":2})"),
                                          AllOf(HasSubstr("conflict"), HasSubstr("\"seq\":2"))));
}

TEST(DocumentFlow, BuildsTheStateAnewWhenAnAppendFails) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  shards.ask(a, publish_to("doc:1", R"("data":{"kept":1})"));
  shards.log_held = true;
  shards.ask(a, publish_to("doc:1", R"("merge":{"lost":1})"));
  shards.ask(b, subscribe_to("doc:1"));
  shards.fail_append();
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("unavailable")));
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("unavailable")));
  EXPECT_THAT(shards.ask(b, subscribe_to("doc:1")),
              ElementsAre(HasSubstr(R"("snapshot":{"seq":1,"data":{"kept":1}})")));
  EXPECT_THAT(shards.ask(a, publish_to("doc:1", R"("merge":{"n":2},"if_seq":1)")),
              ElementsAre(HasSubstr("\"seq\":2")));
}

TEST(DocumentFlow, KeepsTheStateWhileNobodyUsesTheChannel) {
  TestShards shards;
  const auto a = shards.open();
  for (int i = 0; i < 600; ++i)
    shards.ask(
        a, publish_to("doc:1", R"("merge":{"k)" + std::to_string(i % 7) + "\":" + std::to_string(i) + "}"));
  const auto before = shards.ask(a, subscribe_to("doc:1"));
  shards.ask(a, R"({"type":"unsubscribe","channel":"doc:1"})");
  shards.pass(Home::kIdleMs + 1);
  shards.tick();
  EXPECT_EQ(shards.home().size(), 0u);
  EXPECT_EQ(shards.ask(a, subscribe_to("doc:1")), before);
}

TEST(DocumentFlow, MergesWhatAWindowHeldBack) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  shards.ask(b, subscribe_to("board:1"));
  shards.ask(a, publish_to("board:1", R"("merge":{"n":1})"));
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("\"seq\":1")));
  shards.ask(a, publish_to("board:1", R"("merge":{"n":2})"));
  shards.ask(a, publish_to("board:1", R"("merge":{"m":3})"));
  EXPECT_THAT(shards.take(b), IsEmpty());
  shards.pass(100);
  shards.tick();
  EXPECT_THAT(shards.take(b), ElementsAre(AllOf(HasSubstr("\"seq\":3,\"first_seq\":2"),
                                                HasSubstr(R"("merge":{"m":3,"n":2})"))));
}

TEST(DocumentFlow, SendsAWindowNotBackToItsOnlyAuthorWhoWantsNoEcho) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  for (const auto& peer : {a, b}) shards.ask(peer, subscribe_to("board:1"));
  const auto change = [&](TestShards::Peer who, const std::string& rest) {
    shards.ask(who, publish_to("board:1", rest + R"(,"echo":false)"));
  };
  const auto after_window = [&](TestShards::Peer who) {
    shards.pass(100);
    shards.tick();
    return shards.take(who);
  };
  for (const char* form : {R"("merge":{"n":1})", R"("data":{"n":2})"}) {
    for (int i = 0; i < 3; ++i) change(a, form);
    shards.take(a);
    EXPECT_THAT(after_window(a), IsEmpty());
  }
  EXPECT_THAT(shards.take(b), Contains(HasSubstr("\"seq\":6,")));
  for (const auto& peer : {a, a, b}) change(peer, R"("merge":{"n":3})");
  shards.take(a);
  EXPECT_THAT(after_window(a), ElementsAre(HasSubstr("\"seq\":9,\"first_seq\":7")));
}

TEST(DocumentFlow, EndsAWindowForAnEphemeralEvent) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  shards.ask(b, subscribe_to("board:1"));
  const auto merged = [](const std::string& n) {
    return publish_to("board:1", R"("merge":{"n":)" + n + "}");
  };
  const auto ephemeral = publish_to("board:1", R"("ephemeral":true,"merge":{"e":1})");
  for (const std::string& one : {merged("1"), merged("2")}) shards.ask(a, one);
  shards.pass(50);
  for (const std::string& one : {ephemeral, merged("3"), merged("4"), ephemeral}) shards.say(a, one);
  shards.run();
  EXPECT_THAT(shards.take(b),
              ElementsAre(HasSubstr("\"seq\":1,"), HasSubstr("\"seq\":2,"), HasSubstr("\"e\""),
                          HasSubstr("\"seq\":4,\"first_seq\":3"), HasSubstr("\"e\"")));
  shards.ask(a, merged("5"));
  EXPECT_THAT(shards.take(b), IsEmpty());
  shards.pass(99);
  shards.tick();
  EXPECT_THAT(shards.take(b), IsEmpty());  // of the window that was ended, nothing is left
  shards.pass(1);
  shards.tick();
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("\"seq\":5,")));
  // Where only the whole document can stand for it, an ephemeral event waits for that.
  shards.ask(a, publish_to("board:1", R"("data":{"n":6})"));
  shards.log_held = true;
  shards.say(a, merged("7"));
  shards.say(a, ephemeral);
  shards.run();
  shards.take(b);
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(
      shards.take(b),
      ElementsAre(AllOf(HasSubstr("\"seq\":7,\"first_seq\":6"), HasSubstr("\"data\"")), HasSubstr("\"e\"")));
}

TEST(DocumentFlow, TellsTheWholeDocumentWhereNoMergeCan) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  shards.ask(b, subscribe_to("board:1"));
  shards.ask(a, publish_to("board:1", R"("data":{"n":1})"));
  shards.ask(a, publish_to("board:1", R"("merge":{"m":2})"));
  shards.ask(a, publish_to("board:1", R"("patch":[{"op":"remove","path":"/n"}])"));
  shards.take(b);
  shards.log_held = true;
  shards.ask(a, publish_to("board:1", R"("merge":{"o":4})"));
  shards.pass(100);
  shards.tick();
  EXPECT_THAT(shards.take(b), IsEmpty());  // the state is that of an entry which is not safe
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(b), ElementsAre(AllOf(HasSubstr("\"seq\":4,\"first_seq\":2"),
                                                HasSubstr(R"("data":{"m":2,"o":4})"))));
}

TEST(DocumentFlow, ShowsTheWholeDocumentWhereItsHistoryWentWhileItWasRead) {
  TestShards shards;
  const auto author = shards.open(), reader = shards.open(TestShards::user("b"));
  const std::string large = R"("data":")" + std::string(50'000, 'x') + '"';
  for (int i = 0; i < 5; ++i) shards.ask(author, publish_to("few:1", large));
  shards.ask(reader, subscribe_to("few:1"));
  shards.at(reader).full = true;
  for (int i = 0; i < 7; ++i) shards.ask(author, publish_to("few:1", large));
  // What it lacks is to be read behind appends that push it out.
  shards.log_held = true;
  for (int i = 0; i < 5; ++i) shards.say(author, publish_to("few:1", large));
  shards.drained(reader);
  shards.log_held = false;
  shards.run();
  for (int i = 0; i < 5; ++i) shards.drained(reader);
  const auto sent = shards.take(reader);
  ASSERT_THAT(sent, Not(IsEmpty()));
  EXPECT_THAT(sent[0], HasSubstr(R"({"type":"snapshot","channel":"few:1")"));
  EXPECT_THAT(sent, Not(Contains(HasSubstr(R"("type":"gap")"))));
}

TEST(DocumentFlow, GivesANewcomerInTheMiddleOfAWindowWhatItLacks) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b")),
             c = shards.open(TestShards::user("c"));
  shards.ask(b, subscribe_to("board:1"));
  shards.ask(a, publish_to("board:1", R"("merge":{"n":1})"));
  shards.ask(a, publish_to("board:1", R"("merge":{"n":2})"));
  shards.take(b);
  EXPECT_THAT(shards.ask(c, subscribe_to("board:1")), ElementsAre(HasSubstr(R"("snapshot":{"seq":2,)")));
  const auto d = shards.open(TestShards::user("d"));
  shards.ask(a, publish_to("board:1", R"("merge":{"n":3})"));
  shards.ask(d, subscribe_to("board:1"));
  shards.pass(100);
  shards.tick();
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("\"seq\":3,\"first_seq\":2")));
  EXPECT_THAT(shards.take(d), IsEmpty());  // it has everything
  shards.drained(c);
  EXPECT_THAT(shards.take(c), ElementsAre(AllOf(HasSubstr("\"seq\":3,"), Not(HasSubstr("first_seq")))));
  shards.pass(100);
  shards.ask(a, publish_to("board:1", R"("merge":{"n":4})"));
  for (const auto& peer : {b, c, d}) EXPECT_THAT(shards.take(peer), ElementsAre(HasSubstr("\"seq\":4,")));
}

}  // namespace
}  // namespace tidewire::hub
