// Subscribing when something else is under way: earlier answers, many channels, a snapshot, another epoch.

#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

std::string subscribe(const std::string& channel, const std::string& more = {}) {
  return R"({"type":"subscribe","id":"s","channel":")" + channel + "\"" + more + "}";
}
std::string publish(const std::string& channel, const std::string& more = {}) {
  return R"({"type":"publish","id":"p","channel":")" + channel + "\"" + more + "}";
}
std::string many(int channels) {
  std::string text = R"({"type":"subscribe","id":"m","channels":[)";
  for (int i = 0; i < channels; ++i)
    text += std::string(i > 0 ? "," : "") + R"({"channel":"log:)" + std::to_string(i) + R"(","history":500})";
  return text + "]}";
}
std::uint64_t number_in(const std::string& text, const std::string& name) {
  const auto at = text.find("\"" + name + "\":");
  return at == std::string::npos ? 0 : std::stoull(text.substr(at + name.size() + 3));
}

TEST(SubscribeFlow, OneThatWaitedForARefusalStandsByItself) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"));
  shards.say(a, subscribe("session:1"));  // a stranger, as yet
  shards.say(a, subscribe("session:1"));
  shards.say(b, publish("session:1", R"(,"event":"join")"));
  shards.say(b, publish("session:1", R"(,"event":"join","data":{"user":"a"})"));
  shards.run();
  EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("forbidden"), HasSubstr("\"subscribed\"")));
  shards.ask(b, publish("session:1", R"(,"data":"hello")"));
  EXPECT_THAT(shards.take(a), Contains(HasSubstr("hello")));
  EXPECT_THAT(shards.ask(a, R"({"type":"unsubscribe","channel":"session:1"})"),
              ElementsAre(HasSubstr("\"unsubscribed\"")));
}

TEST(SubscribeFlow, ARepetitionOnTheHeelsOfTheFirstIsOneToo) {
  TestShards shards;
  const auto a = shards.open();
  shards.ask(a, publish("room:1"));
  shards.say(a, subscribe("room:1", R"(,"history":5)"));
  shards.say(a, subscribe("room:1", R"(,"history":5)"));
  shards.run();
  EXPECT_THAT(shards.take(a),
              ElementsAre(HasSubstr(R"("messages":[{"seq":1)"), HasSubstr(R"("messages":[])")));
  shards.ask(a, R"({"type":"unsubscribe","channel":"room:1"})");
  EXPECT_THAT(shards.ask(a, publish("room:1")), ElementsAre(HasSubstr("\"published\"")));
}

TEST(SubscribeFlow, AHundredAnswersAreNotMadeAtOnce) {
  TestShards shards;
  const auto a = shards.open();
  const std::string large = R"(,"data":")" + std::string(20'000, 'x') + "\"";
  for (int i = 0; i < 100; ++i)
    for (int j = 0; j < 3; ++j) shards.ask(a, publish("log:" + std::to_string(i), large));
  shards.take(a);
  shards.say(a, many(100));
  shards.say(a, R"({"type":"ping","id":"after"})");
  std::size_t answers = 0;
  for (int turn = 0; turn < 1000 && answers < 101; ++turn) {
    EXPECT_LE(shards.sessions().session(a.handle)->large_replies, ToSubscribe::kWindowMin);
    shards.carry(0, 1);
    shards.take_input(a);
    for (const std::string& text : shards.take(a)) {
      if (answers < 100) {
        EXPECT_THAT(text, HasSubstr(R"("channel":"log:)" + std::to_string(answers) + "\""));
      } else {
        EXPECT_THAT(text, HasSubstr("\"pong\""));
      }
      ++answers;
    }
  }
  EXPECT_EQ(answers, 101u);
}

TEST(SubscribeFlow, ShortAnswersLetMoreBeAskedFor) {
  TestShards shards;
  const auto a = shards.open();
  shards.log_held = true;  // so that none of the channels is open
  shards.say(a, many(100));
  shards.run();
  EXPECT_THAT(shards.operations(), SizeIs(4));
  std::size_t most = 0;
  for (int turn = 0; turn < 100 && !shards.operations().empty(); ++turn) {
    shards.work_log(0);
    shards.run();
    most = std::max(most, shards.operations().size());
  }
  EXPECT_THAT(shards.take(a), SizeIs(100));
  EXPECT_EQ(most, 32u);
}

TEST(SubscribeFlow, GoesOnWithARestThatIsRefused) {
  TestShards shards;
  const auto a = shards.open();
  EXPECT_THAT(shards.ask(a, R"({"type":"subscribe","channels":[{"channel":"secret:1"},{"channel":"room:1"},)"
                            R"({"channel":"room:1"},{"channel":"secret:2"}]})"),
              ElementsAre(HasSubstr("forbidden"), HasSubstr("subscribed"), HasSubstr("subscribed"),
                          HasSubstr("forbidden")));
  shards.say(a, many(50));
  shards.close(a);
  shards.run();
  EXPECT_EQ(shards.sessions().replicas(), 0u);
}

TEST(SubscribeFlow, AMergedDeltaStandsForWhatTheSnapshotHasOrForWhatItHasNot) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("c")), reader = shards.open(TestShards::user("c"));
  const auto delta = [](const std::string& text) {
    return publish("agent:1", R"(,"event":"delta","data":{"text":")" + text + "\"}");
  };
  for (int i = 0; i < 95; ++i) shards.ask(a, delta(std::string(3000, 'x')));
  shards.say(reader, subscribe("agent:1", R"(,"history":1000)"));
  shards.say(a, delta("new"));
  shards.run();
  for (int i = 0; i < 5; ++i) shards.drained(reader);
  const auto sent = shards.take(reader);
  ASSERT_GE(sent.size(), 3u);
  const std::uint64_t known = number_in(sent[0], "seq");
  EXPECT_EQ(known, 95u);
  std::uint64_t next = 1;
  for (std::size_t i = 1; i < sent.size(); ++i) {
    const std::uint64_t last = number_in(sent[i], "seq");
    const std::uint64_t first = sent[i].contains("first_seq") ? number_in(sent[i], "first_seq") : last;
    EXPECT_EQ(first, next);
    EXPECT_TRUE(last <= known || first > known) << first << " to " << last;
    next = last + 1;
  }
  EXPECT_EQ(next, 97u);
}

TEST(SubscribeFlow, AnInboxGivesWhatIsPendingOnceWhateverHistoryIsAskedFor) {
  TestShards shards;
  const auto server = shards.open(TestShards::user("s"));
  const auto a = shards.open(TestShards::user("u"));
  for (int i = 0; i < 3; ++i) shards.ask(server, publish("user:u"));
  shards.ask(a, R"({"type":"ack","channel":"user:u","seqs":[2]})");
  const auto sent = shards.ask(a, subscribe("user:u", R"(,"history":10)"));
  ASSERT_THAT(sent, SizeIs(3));
  EXPECT_THAT(sent[0], HasSubstr(R"("messages":[])"));
  EXPECT_THAT(sent[1], HasSubstr("\"seq\":1,"));
  EXPECT_THAT(sent[2], HasSubstr("\"seq\":3,"));
}

// A failed append closes the channel's log; when it is opened again it has been mended.
TEST(SubscribeFlow, WhoFollowsAChannelThatBeginsAnewGetsItsStateAndNothingOld) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), live = shards.open(TestShards::user("b")),
             slow = shards.open(TestShards::user("c"));
  shards.ask(live, subscribe("doc:1"));
  shards.ask(slow, subscribe("doc:1"));
  shards.at(slow).full = true;
  for (int i = 0; i < 3; ++i) shards.ask(a, publish("doc:1", R"(,"merge":{"n":)" + std::to_string(i) + "}"));
  shards.take(live);
  shards.log_held = true;
  shards.say(a, publish("doc:1", R"(,"merge":{"n":3})"));
  shards.run();
  const auto operations = std::exchange(shards.operations(), {});
  Handle channel;
  for (const log::Operation& operation : operations)
    if (const auto* append = std::get_if<log::Append>(&operation)) {
      channel = append->channel;
      shards.home().handle(append_fails(operation), shards.now);
    }
  // Meanwhile the slow one asks for what it lacks.
  shards.at(slow).full = false;
  shards.sessions().on_drained(slow.handle, shards.now);
  shards.run();
  shards.operations().clear();
  std::vector<log::Entry> tail;
  tail.push_back({.seq = 1,
                  .timestamp_ms = 1,
                  .body = SharedBytes(R"("seq":1,"timestamp":1,"event":"merge","data":{"n":0}})")});
  shards.home().handle(log::Opened{.channel = channel,
                                   .epoch = "mended",
                                   .first_seq = 1,
                                   .last_seq = 1,
                                   .tail = std::move(tail),
                                   .keys = {},
                                   .snapshot = {}},
                       shards.now);
  shards.run();
  shards.drained(live);
  shards.drained(slow);
  const std::string state = R"({"type":"snapshot","channel":"doc:1","epoch":"mended","seq":1,"data":)";
  EXPECT_THAT(shards.take(live), ElementsAre(HasSubstr(state)));
  EXPECT_THAT(shards.take(slow), ElementsAre(HasSubstr(state)));
  EXPECT_THAT(shards.at(live).dropped, SizeIs(1));
}

TEST(SubscribeFlow, TellsWhoSubscribesAgainNoStateOlderThanWhatItHas) {
  TestShards shards;
  const auto author = shards.open(), reader = shards.open();
  const auto delta = [&](const std::string& text) {
    shards.ask(author, publish("agent:1", R"(,"event":"delta","data":{"text":")" + text + "\"}"));
  };
  delta("a");
  shards.ask(reader, subscribe("agent:1"));
  shards.log_held = true;
  shards.say(reader, publish("log:1"));
  shards.say(reader, subscribe("agent:1"));
  shards.run();
  delta("b");
  EXPECT_THAT(shards.take(reader), ElementsAre(HasSubstr("\"seq\":2,")));
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(reader),
              ElementsAre(HasSubstr("\"published\""),
                          testing::AllOf(HasSubstr(R"("snapshot":{"seq":2,)"), HasSubstr(R"("text":"ab")"))));
}

}  // namespace
}  // namespace tidewire::hub
