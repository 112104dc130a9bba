// A conflated document's windows, from publish to delivery: what is told whole while the log is slow, who
// subscribes in the middle of one, and a namespace that changes under it.
#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class WindowFlow : public testing::Test {
 protected:
  static std::string publish(const std::string& rest) {
    return R"({"type":"publish","channel":"board:1",)" + rest + "}";
  }
  static std::string subscribe(const std::string& rest = {}) {
    return R"({"type":"subscribe","channel":"board:1")" + rest + "}";
  }
  static std::string ephemeral(int n) {
    return publish(R"("ephemeral":true,"data":"e)" + std::to_string(n) + '"');
  }
  static std::string enter() { return R"({"type":"presence","action":"enter","channel":"board:1"})"; }
  void change(const std::string& rest) { shards.ask(author, publish(rest)); }
  std::vector<std::string> after(std::int64_t ms, TestShards::Peer peer) {
    shards.pass(ms);
    shards.tick();
    return shards.take(peer);
  }
  // What the window holds only the whole document can tell, and the log does not answer any more.
  void wait_for_a_whole() {
    shards.ask(reader, subscribe());
    change(R"("data":{"n":1})");
    change(R"("data":{"n":2})");
    change(R"("merge":{"m":3})");
    shards.take(reader);
    shards.log_held = true;
  }
  // The document is two changes on, the newcomer knows both, and the reader has been told of the first.
  TestShards::Peer newcomer_in_mid_window(const std::string& options = {}) {
    shards.ask(reader, subscribe());
    change(R"("merge":{"n":1})");
    change(R"("merge":{"n":2})");
    const auto newcomer = shards.open(TestShards::user("newcomer"));
    shards.ask(newcomer, subscribe(options));
    return newcomer;
  }
  // A reload.
  void configure(auto&& alter) {
    auto list = test_namespaces();
    for (Namespace& ns : list)
      if (ns.name == "board") alter(ns);
    shards.namespaces.replace(list);
  }

  TestShards shards;
  const TestShards::Peer author = shards.open(), reader = shards.open(TestShards::user("reader"));
};

TEST_F(WindowFlow, TellsNothingTwiceWhereTwoEndBeforeTheLogAnswers) {
  wait_for_a_whole();
  shards.say(author, publish(R"("merge":{"n":4})"));
  shards.say(author, ephemeral(4));
  shards.run();
  EXPECT_THAT(after(100, reader), IsEmpty());
  shards.say(author, publish(R"("merge":{"n":5})"));
  shards.run();
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(reader),
              ElementsAre(AllOf(HasSubstr("\"seq\":4,\"first_seq\":2"), HasSubstr(R"("data":{"m":3,"n":4})")),
                          HasSubstr("\"e4\"")));
  EXPECT_THAT(after(100, reader), ElementsAre(AllOf(HasSubstr("\"seq\":5,"), Not(HasSubstr("first_seq")),
                                                    HasSubstr(R"("merge":{"n":5})"))));
  shards.pass(100);
  change(R"("data":{"fresh":6})");
  EXPECT_THAT(shards.take(reader), ElementsAre(HasSubstr("\"seq\":6,")));
  change(R"("merge":{"z":7})");
  EXPECT_THAT(after(100, reader), ElementsAre(AllOf(HasSubstr("\"seq\":7,"), Not(HasSubstr("first_seq")),
                                                    HasSubstr(R"("merge":{"z":7})"))));
}

TEST_F(WindowFlow, ForgetsWhatWasTooLongToMergeOnceItIsTold) {
  shards.ask(reader, subscribe());
  change(R"("data":{"n":1})");
  for (const char* key : {"a", "b"})
    change(R"("merge":{")" + std::string(key) + R"(":")" + std::string(150'000, 'x') + "\"}");
  shards.take(reader);
  EXPECT_THAT(after(100, reader),
              ElementsAre(AllOf(HasSubstr("\"seq\":3,\"first_seq\":2"), HasSubstr("\"data\""))));
  change(R"("merge":{"n":4})");
  EXPECT_THAT(after(100, reader),
              ElementsAre(AllOf(HasSubstr("\"seq\":4,"), HasSubstr(R"("merge":{"n":4})"))));
}

TEST_F(WindowFlow, KeepsTheOrderWhereTheLogIsSlowerThanTheWindow) {
  wait_for_a_whole();
  for (int n = 4; n < 7; ++n) {
    shards.say(author, publish(R"("data":{"n":)" + std::to_string(n) + "}"));
    shards.say(author, ephemeral(n));
    shards.run();
    EXPECT_THAT(after(100, reader), IsEmpty());
  }
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(reader),
              ElementsAre(AllOf(HasSubstr("\"seq\":4,\"first_seq\":2"), HasSubstr(R"("data":{"n":4})")),
                          HasSubstr("\"e4\""), HasSubstr("\"seq\":5,"), HasSubstr("\"e5\""),
                          HasSubstr("\"seq\":6,"), HasSubstr("\"e6\"")));
  EXPECT_THAT(after(100, reader), IsEmpty());
}

TEST_F(WindowFlow, GoesOnAfterAWholeThatTheLogRefused) {
  wait_for_a_whole();
  shards.say(author, publish(R"("merge":{"n":4})"));
  shards.run();
  EXPECT_THAT(after(100, reader), IsEmpty());
  shards.fail_append();
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(after(100, reader), ElementsAre(AllOf(HasSubstr("\"seq\":3,\"first_seq\":2"),
                                                    HasSubstr(R"("data":{"m":3,"n":2})"))));
  change(R"("merge":{"n":4})");
  EXPECT_THAT(after(100, reader),
              ElementsAre(AllOf(HasSubstr("\"seq\":4,"), HasSubstr(R"("merge":{"n":4})"))));
}

TEST_F(WindowFlow, HoldsNothingOfAnEpochThatIsGone) {
  shards.ask(reader, subscribe());
  change(R"("merge":{"n":1})");
  change(R"("merge":{"n":2})");
  shards.log_held = true;
  shards.say(author, publish(R"("merge":{"n":3})"));
  shards.run();
  auto operations = std::exchange(shards.operations(), {});
  ASSERT_EQ(operations.size(), 1u);
  const Handle channel = std::get<log::Append>(operations[0]).channel;
  shards.home().handle(append_fails(operations[0]), shards.now);
  log::Opened opened;
  opened.channel = channel;
  opened.epoch = "mended";
  opened.first_seq = 1;
  shards.home().handle(std::move(opened), shards.now);
  shards.run();
  shards.drained(reader);
  EXPECT_THAT(shards.take(reader), Contains(HasSubstr(R"("type":"snapshot")")));
  for (std::uint64_t seq = 1; seq < 3; ++seq) {
    shards.say(author, publish(R"("merge":{"m":)" + std::to_string(seq) + "}"));
    shards.run();
    shards.home().handle(log::Committed{.channel = channel, .first_seq = 1, .last_seq = seq}, shards.now);
    shards.run();
  }
  EXPECT_THAT(after(100, reader),
              ElementsAre(AllOf(HasSubstr("\"seq\":2,\"first_seq\":1"), HasSubstr(R"("merge":{"m":2})"))));
}

TEST_F(WindowFlow, TellsANewcomerWhatComesBesideTheMessagesThatItKnows) {
  configure([](Namespace& ns) { ns.presence = true; });
  const auto newcomer = newcomer_in_mid_window(R"(,"presence":true)");
  shards.take(reader);
  shards.say(author, enter());
  shards.say(author, ephemeral(1));
  shards.run();
  EXPECT_THAT(shards.take(reader), ElementsAre(HasSubstr("\"seq\":2,"), HasSubstr("\"e1\"")));
  EXPECT_THAT(shards.take(newcomer), ElementsAre(HasSubstr(R"("action":"enter")"), HasSubstr("\"e1\"")));
  shards.pass(100);
  change(R"("merge":{"n":3})");
  EXPECT_THAT(shards.take(newcomer), ElementsAre(HasSubstr("\"seq\":3,")));
}

TEST_F(WindowFlow, TellsANewcomerWhatComesBeforeTheMessageOfWhichItKnowsAPart) {
  configure([](Namespace& ns) { ns.presence = true; });
  const auto newcomer = newcomer_in_mid_window(R"(,"presence":true)");
  shards.say(author, publish(R"("merge":{"n":3})"));
  shards.say(author, enter());
  shards.run();
  EXPECT_THAT(shards.take(newcomer), ElementsAre(HasSubstr(R"("action":"enter")")));
  EXPECT_THAT(after(100, newcomer), IsEmpty());
  shards.drained(newcomer);
  EXPECT_THAT(shards.take(newcomer),
              ElementsAre(AllOf(HasSubstr("\"seq\":3,"), Not(HasSubstr("first_seq")))));
}

TEST_F(WindowFlow, TellsNothingAgainToANewcomerWhoseConnectionIsFull) {
  const auto newcomer = newcomer_in_mid_window();
  shards.at(newcomer).full = true;
  shards.say(author, ephemeral(1));
  shards.run();
  shards.say(author, publish(R"("merge":{"n":3})"));
  shards.run();
  EXPECT_THAT(after(100, newcomer), IsEmpty());
  shards.drained(newcomer);
  EXPECT_THAT(shards.take(newcomer),
              ElementsAre(AllOf(HasSubstr("\"seq\":3,"), Not(HasSubstr("first_seq")))));
}

TEST_F(WindowFlow, BeginsWhereItIsWhenAReloadBringsIt) {
  configure([](Namespace& ns) { ns.conflate_ms = 0; });
  shards.ask(reader, subscribe());
  for (int n = 1; n < 4; ++n) change(R"("data":{"n":)" + std::to_string(n) + "}");
  EXPECT_EQ(shards.take(reader).size(), 3u);
  configure([](Namespace&) {});
  const auto newcomer = shards.open(TestShards::user("newcomer"));
  shards.ask(newcomer, subscribe());
  change(R"("data":{"n":4})");
  EXPECT_THAT(shards.take(reader), ElementsAre(AllOf(HasSubstr("\"seq\":4,"), Not(HasSubstr("first_seq")))));
  EXPECT_THAT(shards.take(newcomer), ElementsAre(HasSubstr("\"seq\":4,")));
  change(R"("data":{"n":5})");
  EXPECT_THAT(after(100, reader), ElementsAre(AllOf(HasSubstr("\"seq\":5,"), Not(HasSubstr("first_seq")))));
}

TEST_F(WindowFlow, TellsANewcomerNothingTwiceWhenAReloadTakesIt) {
  shards.ask(reader, subscribe());
  for (int n = 1; n < 4; ++n) change(R"("merge":{"n":)" + std::to_string(n) + "}");
  shards.take(reader);
  configure([](Namespace& ns) { ns.conflate_ms = 0; });
  const auto newcomer = shards.open(TestShards::user("newcomer"), 0);
  shards.ask(newcomer, subscribe());
  EXPECT_THAT(after(100, reader), ElementsAre(HasSubstr("\"seq\":3,\"first_seq\":2")));
  EXPECT_THAT(shards.take(newcomer), IsEmpty());
  change(R"("merge":{"n":4})");
  EXPECT_THAT(shards.take(newcomer), ElementsAre(HasSubstr("\"seq\":4,")));
}

}  // namespace
}  // namespace tidewire::hub
