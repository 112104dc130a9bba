// Subscribing, publishing and resuming, as connections see it (protocol §4, §5).

#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The numbers of the messages and gaps that were sent: "1 2 (3-4)"; other messages by their type.
std::string seen(const std::vector<std::string>& sent) {
  std::string out;
  const auto number = [](const std::string& text, const std::string& key) {
    const auto at = text.find("\"" + key + "\":");
    return at == std::string::npos ? std::string("-")
                                   : std::to_string(std::stoull(text.substr(at + key.size() + 3)));
  };
  for (const std::string& text : sent) {
    if (!out.empty()) out += ' ';
    const std::string type = text.substr(9, text.find('"', 9) - 9);
    if (type == "message")
      out += number(text, "seq");
    else if (type == "gap")
      out += "(" + number(text, "from") + "-" + number(text, "to") + ")";
    else
      out += type;
  }
  return out;
}

std::string subscribe(const std::string& channel, const std::string& more = {}) {
  return R"({"type":"subscribe","id":"s","channel":")" + channel + "\"" + more + "}";
}
std::string publish(const std::string& channel, const std::string& more = {}) {
  return R"({"type":"publish","id":"p","channel":")" + channel + "\"" + more + "}";
}
std::string epoch_in(const std::string& text) {
  const auto at = text.find("\"epoch\":\"") + 9;
  return text.substr(at, text.find('"', at) - at);
}
std::string since(const std::string& epoch, int seq) {
  return R"(,"since":{"epoch":")" + epoch + "\",\"seq\":" + std::to_string(seq) + "}";
}

TEST(ChannelFlow, PublishesAndDelivers) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a"));
  const auto b = shards.open(nullptr);
  const auto subscribed = shards.ask(b, subscribe("open:1"));
  ASSERT_EQ(subscribed.size(), 1u);
  const std::string epoch = epoch_in(subscribed[0]);
  EXPECT_EQ(subscribed[0], R"({"type":"subscribed","id":"s","channel":"open:1","kind":"stream","epoch":")" +
                               epoch + R"(","seq":0,"messages":[]})");
  EXPECT_THAT(
      shards.ask(a, publish("open:1", R"(,"event":"e","priority":"high","data": {"x" : 1.0})")),
      ElementsAre(R"({"type":"published","id":"p","channel":"open:1","epoch":")" + epoch + R"(","seq":1})"));
  EXPECT_THAT(
      shards.take(b),
      ElementsAre(
          R"({"type":"message","channel":"open:1","seq":1,"timestamp":1762907000000,"event":"e","from":{"user":{"id":"a","type":"user"},)"
          R"("connection":"c-0000000000000002"},"priority":"high","data":{"x" : 1.0}})"));
  shards.ask(b, publish("open:1"));
  EXPECT_THAT(shards.take(b), IsEmpty()) << "was taken by ask() above";
}

TEST(ChannelFlow, DeliversEphemeralMessagesWithoutASeq) {
  TestShards shards;
  const auto a = shards.open();
  shards.ask(a, subscribe("room:1"));
  const auto sent = shards.ask(a, publish("room:1", R"(,"ephemeral":true,"data":1)"));
  EXPECT_THAT(
      sent,
      ElementsAre(
          R"({"type":"published","id":"p","channel":"room:1","ephemeral":true})",
          R"({"type":"message","channel":"room:1","timestamp":1762907000000,"from":{"user":{"id":"u","type":"user"},"connection":"c-0000000000000002"},"data":1})"));
  EXPECT_THAT(shards.ask(a, R"({"type":"history","id":"h","channel":"room:1"})"),
              ElementsAre(HasSubstr(R"("first":0,"last":0,"messages":[])")));
}

TEST(ChannelFlow, KeepsAMessageFromItsAuthorWhoWantsNoEcho) {
  TestShards shards(2);
  const std::string far = shards.channel_at(1);
  const auto a = shards.open(TestShards::user("a")), other = shards.open(TestShards::user("a"));
  shards.ask(a, subscribe(far));
  shards.ask(other, subscribe(far));
  EXPECT_EQ(seen(shards.ask(a, publish(far, R"(,"echo":false)"))), "published");
  EXPECT_EQ(seen(shards.take(other)), "1");
  EXPECT_EQ(seen(shards.ask(a, publish(far))), "published 2");
}

TEST(ChannelFlow, NeverEchoesWhatWasPublishedWithoutEchoAlsoWhenCatchingUp) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"));
  shards.ask(a, subscribe("room:1"));
  shards.at(a).full = true;
  shards.ask(b, publish("room:1"));
  EXPECT_EQ(seen(shards.ask(a, publish("room:1", R"(,"echo":false)"))), "published");
  shards.ask(b, publish("room:1"));
  shards.say(a, publish("room:1", R"(,"echo":false,"key":"k")"));
  shards.say(a, publish("room:1", R"(,"echo":false,"key":"k")"));
  shards.run();
  EXPECT_EQ(seen(shards.take(a)), "published published");
  shards.drained(a);
  EXPECT_EQ(seen(shards.take(a)), "1 3");
  EXPECT_EQ(seen(shards.ask(a, publish("room:1"))), "published 5");
}

TEST(ChannelFlow, DeliversPublishedBeforeSubscribedNot) {
  TestShards shards;
  const auto a = shards.open();
  shards.say(a, publish("room:1"));
  shards.say(a, subscribe("room:1"));
  shards.say(a, publish("room:1"));
  shards.run();
  EXPECT_EQ(seen(shards.take(a)), "published subscribed published 2");
}

TEST(ChannelFlow, AnswersARepeatedKeyWithTheFirstPosition) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), again = shards.open(TestShards::user("a")),
             b = shards.open(TestShards::user("b"));
  shards.ask(a, publish("room:1", R"(,"key":"k")"));
  EXPECT_THAT(shards.ask(again, publish("room:1", R"(,"key":"k","data":2)")),
              ElementsAre(HasSubstr(R"("seq":1,"duplicate":true})")));
  EXPECT_THAT(shards.ask(b, publish("room:1", R"(,"key":"k")")), ElementsAre(HasSubstr(R"("seq":2})")))
      << "another user's key";
  EXPECT_THAT(shards.ask(a, publish("room:2", R"(,"key":"k")")), ElementsAre(HasSubstr(R"("seq":1})")))
      << "another channel's";
  shards.pass(300'000);
  EXPECT_THAT(shards.ask(a, publish("room:1", R"(,"key":"k")")), ElementsAre(HasSubstr(R"("seq":3})")))
      << "after the window";
}

TEST(ChannelFlow, RefusesWhatAStreamDoesNotKnow) {
  TestShards shards;
  const auto a = shards.open();
  for (const char* option : {R"(,"merge":{})", R"(,"patch":[])", R"(,"data":1,"if_seq":0)"})
    EXPECT_EQ(shards.code_of(a, publish("room:1", option)), "invalid_event") << option;
  EXPECT_EQ(shards.code_of(a, R"({"type":"ack","channel":"room:1","up_to":1})"), "invalid_message");
}

TEST(ChannelFlow, NamesRequestAndChannelInARefusal) {
  TestShards shards;
  const auto a = shards.open(nullptr);
  EXPECT_THAT(
      shards.ask(a, subscribe("room:1")),
      ElementsAre(
          R"({"type":"error","id":"s","request":"subscribe","channel":"room:1","code":"unauthorized","message":"this needs a token"})"));
  EXPECT_EQ(shards.code_of(a, subscribe("$all")), "forbidden");
  EXPECT_EQ(shards.code_of(a, subscribe("rom:1")), "not_found");
  EXPECT_EQ(shards.code_of(a, subscribe("open:")), "invalid_channel");
  EXPECT_EQ(shards.code_of(a, subscribe("open:1", R"(,"presence":true)")), "forbidden");
}

TEST(ChannelFlow, EndsASubscriptionOnce) {
  TestShards shards;
  const auto a = shards.open();
  const std::string unsubscribe = R"({"type":"unsubscribe","id":"u","channel":"room:1"})";
  EXPECT_EQ(shards.code_of(a, unsubscribe), "not_subscribed");
  EXPECT_EQ(shards.code_of(a, R"({"type":"unsubscribe","channel":"nope:1"})"), "not_found");
  EXPECT_EQ(shards.code_of(a, R"({"type":"unsubscribe","channel":"$all"})"), "forbidden");
  shards.ask(a, subscribe("room:1"));
  EXPECT_THAT(shards.ask(a, unsubscribe),
              ElementsAre(R"({"type":"unsubscribed","id":"u","channel":"room:1"})"));
  EXPECT_EQ(shards.at(a).dropped.size(), 1u) << "what waited is forgotten";
  EXPECT_EQ(shards.code_of(a, unsubscribe), "not_subscribed");
  EXPECT_EQ(seen(shards.ask(a, publish("room:1"))), "published");
  EXPECT_EQ(shards.sessions().replicas(), 0u);
}

TEST(ChannelFlow, DropsWhatWaitsInATurnForWhoUnsubscribesInIt) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"));
  shards.ask(a, subscribe("room:1"));
  shards.say(b, publish("room:1"));
  shards.carry(0);
  shards.carry(0);
  shards.say(a, R"({"type":"unsubscribe","channel":"room:1"})");
  shards.run();
  EXPECT_EQ(seen(shards.take(a)), "unsubscribed");
}

TEST(ChannelFlow, AnswersASecondSubscribeWithThePresentState) {
  TestShards shards;
  const auto a = shards.open();
  const std::string epoch = epoch_in(shards.ask(a, subscribe("room:1"))[0]);
  shards.ask(a, publish("room:1"));
  EXPECT_THAT(shards.ask(a, subscribe("room:1", since(epoch, 0))),
              ElementsAre(R"({"type":"subscribed","id":"s","channel":"room:1","kind":"stream","epoch":")" +
                          epoch + R"(","seq":1,"messages":[]})"));
  EXPECT_EQ(seen(shards.ask(a, publish("room:1"))), "published 2") << "once";
}

TEST(ChannelFlow, StopsAtTheLimitOfChannels) {
  TenantLimits limits = TestShards::unlimited();
  limits.channels = 2;
  TestShards shards(1, {}, limits);
  const auto a = shards.open();
  const auto sent =
      shards.ask(a, R"({"type":"subscribe","id":4,"channels":["room:1","room:2","room:3","room:1"]})");
  EXPECT_EQ(seen(sent), "subscribed subscribed error subscribed");
  EXPECT_THAT(sent[2],
              HasSubstr(R"("id":4,"request":"subscribe","channel":"room:3","code":"channel_limit")"));
  EXPECT_EQ(shards.code_of(a, R"({"type":"presence","action":"enter","channel":"room:1"})"), "taken");
  EXPECT_EQ(shards.code_of(a, R"({"type":"presence","action":"enter","channel":"room:2"})"), "taken");
  EXPECT_EQ(shards.code_of(a, R"({"type":"presence","action":"enter","channel":"room:3"})"), "channel_limit");
}

TEST(ChannelFlow, ResumesWithWhatWasMissed) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"));
  const std::string epoch = epoch_in(shards.ask(a, subscribe("room:1"))[0]);
  shards.ask(a, R"({"type":"unsubscribe","channel":"room:1"})");
  for (int i = 0; i < 3; ++i) shards.ask(b, publish("room:1", ",\"data\":" + std::to_string(i)));
  const auto resumed = shards.ask(a, subscribe("room:1", since(epoch, 1)));
  ASSERT_EQ(resumed.size(), 1u);
  EXPECT_THAT(
      resumed[0],
      HasSubstr(R"("seq":3,"recovered":true,"messages":[{"seq":2,"timestamp":1762907000000,"from":)"));
  EXPECT_THAT(resumed[0], HasSubstr(R"("data":1},{"seq":3,)"));
  EXPECT_EQ(seen(shards.ask(a, publish("room:1"))), "published 4");
}

TEST(ChannelFlow, SaysWhyAPositionCanNotBeResumed) {
  TestShards shards;
  const auto a = shards.open();
  for (int i = 0; i < 5; ++i) shards.ask(a, publish("tiny:1"));
  const std::string epoch = epoch_in(shards.ask(a, publish("tiny:1"))[0]);  // 4, 5 and 6 are kept
  const auto resumed = [&](const std::string& from) {
    const auto sent = shards.ask(shards.open(), subscribe("tiny:1", from));
    (void)sent;
    const auto peer = shards.open();
    const std::string text = shards.ask(peer, subscribe("tiny:1", from)).at(0);
    const auto at = text.find("\"recovered\"");
    std::string out = text.substr(at, text.find(",\"messages\"") - at);
    for (std::size_t next = 0; (next = text.find("{\"seq\":", next)) != std::string::npos; next += 7)
      out += " " + text.substr(next + 7, 1);
    return out;
  };
  EXPECT_EQ(resumed(since(epoch, 3)), "\"recovered\":true 4 5 6");
  EXPECT_EQ(resumed(since(epoch, 6)), "\"recovered\":true");
  EXPECT_EQ(resumed(since(epoch, 2)), R"("recovered":false,"reason":"trimmed" 4 5 6)");
  EXPECT_EQ(resumed(since(epoch, 0)), R"("recovered":false,"reason":"trimmed" 4 5 6)");
  EXPECT_EQ(resumed(since(epoch, 7)), R"("recovered":false,"reason":"ahead" 4 5 6)");
  EXPECT_EQ(resumed(since("other", 5)), R"("recovered":false,"reason":"epoch" 4 5 6)");
}

TEST(ChannelFlow, GivesTheLastMessagesOnRequest) {
  TestShards shards;
  const auto a = shards.open();
  for (int i = 0; i < 5; ++i) shards.ask(a, publish("room:1"));
  const auto last = [&](int count) {
    const std::string text =
        shards.ask(shards.open(), subscribe("room:1", ",\"history\":" + std::to_string(count))).size() == 1
            ? "one"
            : "";
    return text;
  };
  EXPECT_EQ(last(2), "one");
  const auto peer = shards.open();
  const std::string text = shards.ask(peer, subscribe("room:1", R"(,"history":2)")).at(0);
  EXPECT_THAT(text, HasSubstr(R"("messages":[{"seq":4,)"));
  EXPECT_EQ(text.find("recovered"), std::string::npos);
}

TEST(ChannelFlow, PutsAGapInThePlaceOfWhatHasExpired) {
  TestShards shards;
  const auto a = shards.open();
  shards.ask(a, publish("room:1"));
  shards.ask(a, publish("room:1", R"(,"ttl_ms":100)"));
  const std::string epoch = epoch_in(shards.ask(a, publish("room:1"))[0]);
  shards.pass(100);
  const auto sent = shards.ask(a, subscribe("room:1", since(epoch, 0)));
  EXPECT_EQ(seen(sent), "subscribed 1 (2-2) 3");
  EXPECT_THAT(sent[0], HasSubstr(R"("recovered":true,"messages":[])"));
  EXPECT_EQ(sent[2], R"({"type":"gap","channel":"room:1","epoch":")" + epoch + R"(","from":2,"to":2})");
}

TEST(ChannelFlow, SendsALargeReplayBehindItsReply) {
  TestShards shards;
  const auto a = shards.open();
  const std::string large = ",\"data\":\"" + std::string(100'000, 'x') + "\"";
  for (int i = 0; i < 5; ++i) shards.ask(a, publish("room:1", large));
  const auto sent = shards.ask(a, subscribe("room:1", R"(,"history":5)"));
  EXPECT_THAT(sent[0], HasSubstr("\"messages\":[]"));
  EXPECT_EQ(seen(sent), "subscribed 1 2 3") << "a piece; the rest when it has drained";
  EXPECT_TRUE(shards.at(a).wants_drained);
  shards.say(a, publish("room:1"));
  shards.run();
  shards.drained(a);
  EXPECT_EQ(seen(shards.take(a)), "published 4 5 6");
  EXPECT_EQ(seen(shards.ask(a, publish("room:1"))), "published 7");
}

TEST(SlowReader, FallsBehindAndIsCaughtUpInOrder) {
  TestShards shards;
  const auto slow = shards.open(TestShards::user("a")), fast = shards.open(TestShards::user("b"));
  shards.ask(slow, subscribe("room:1"));
  shards.ask(fast, subscribe("room:1"));
  shards.ask(fast, publish("room:1"));
  shards.at(slow).full = true;
  for (int i = 0; i < 3; ++i) shards.ask(fast, publish("room:1"));
  EXPECT_EQ(seen(shards.take(slow)), "1");
  EXPECT_TRUE(shards.at(slow).wants_drained);
  EXPECT_EQ(shards.sessions().counts().went_behind, 1u);
  shards.drained(slow);
  EXPECT_EQ(seen(shards.take(slow)), "2 3 4");
  EXPECT_EQ(seen(shards.ask(fast, publish("room:1"))), "published 5");
  EXPECT_EQ(seen(shards.take(slow)), "5") << "live again";
}

TEST(SlowReader, GetsAGapForWhatIsGone) {
  TestShards shards;
  const auto slow = shards.open(TestShards::user("a")), fast = shards.open(TestShards::user("b"));
  shards.ask(slow, subscribe("tiny:1"));
  shards.at(slow).full = true;
  for (int i = 0; i < 8; ++i) shards.ask(fast, publish("tiny:1"));
  shards.drained(slow);
  EXPECT_EQ(seen(shards.take(slow)), "(1-5) 6 7 8");
  EXPECT_EQ(shards.sessions().counts().gaps, 1u);
}

TEST(SlowReader, LosesEphemeralMessagesAndStaysLive) {
  TestShards shards;
  const auto slow = shards.open(TestShards::user("a")), fast = shards.open(TestShards::user("b"));
  shards.ask(slow, subscribe("room:1"));
  shards.at(slow).full = true;
  shards.ask(fast, publish("room:1", R"(,"ephemeral":true)"));
  EXPECT_EQ(shards.sessions().counts().went_behind, 0u);
  shards.at(slow).full = false;
  shards.ask(fast, publish("room:1"));
  EXPECT_EQ(seen(shards.take(slow)), "1");
}

TEST(SlowReader, TakesItsMostImportantChannelFirstAndOneAtATime) {
  TestShards shards;
  const auto slow = shards.open(TestShards::user("a")), fast = shards.open(TestShards::user("b"));
  for (const char* channel : {"room:1", "high:1", "tiny:1"}) shards.ask(slow, subscribe(channel));
  shards.at(slow).full = true;
  for (const char* channel : {"room:1", "high:1", "tiny:1"}) shards.ask(fast, publish(channel));
  shards.drained(slow);
  auto sent = shards.take(slow);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_THAT(sent[0], HasSubstr("high:1"));
  shards.drained(slow);
  shards.drained(slow);
  EXPECT_EQ(shards.take(slow).size(), 2u);
  EXPECT_FALSE(shards.at(slow).wants_drained);
}

TEST(SlowReader, GoesOnWithTheOthersWhenItUnsubscribesFromWhatIsBeingFetched) {
  TestShards shards;
  const auto slow = shards.open(TestShards::user("a")), fast = shards.open(TestShards::user("b"));
  for (const char* channel : {"high:1", "room:1"}) shards.ask(slow, subscribe(channel));
  shards.at(slow).full = true;
  for (const char* channel : {"high:1", "room:1"}) shards.ask(fast, publish(channel));
  shards.at(slow).full = false;
  shards.sessions().on_drained(slow.handle, shards.now);
  shards.say(slow, R"({"type":"unsubscribe","channel":"high:1"})");
  shards.run();
  EXPECT_EQ(seen(shards.take(slow)), "unsubscribed 1");
}

TEST(SlowReader, AsksAgainWhenItIsFullAgain) {
  TestShards shards;
  const auto slow = shards.open(TestShards::user("a")), fast = shards.open(TestShards::user("b"));
  shards.ask(slow, subscribe("room:1"));
  shards.at(slow).full = true;
  shards.ask(fast, publish("room:1"));
  shards.at(slow).wants_drained = false;
  shards.sessions().on_drained(slow.handle, shards.now);
  shards.run();
  EXPECT_TRUE(shards.at(slow).wants_drained);
  shards.drained(slow);
  EXPECT_EQ(seen(shards.take(slow)), "1");
}

TEST(ReplyOrder, FollowsTheRequestsAlsoAcrossShards) {
  TestShards shards(2);
  const auto a = shards.open();
  const std::string far = shards.channel_at(1), near = shards.channel_at(0);
  shards.say(a, R"({"type":"history","id":1,"channel":")" + far + "\"}");
  shards.say(a, R"({"type":"history","id":2,"channel":")" + near + "\"}");
  shards.say(a, R"({"type":"ping","id":3})");
  shards.say(a, R"({"type":"publish","id":4,"channel":"room:"})");
  shards.carry(0);
  shards.carry(0);
  EXPECT_THAT(shards.take(a), IsEmpty()) << "the near answer waits for the far one";
  shards.run();
  EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("\"id\":1"), HasSubstr("\"id\":2"), HasSubstr("\"id\":3"),
                                          HasSubstr("\"id\":4")));
}

TEST(ReplyOrder, HoldsDeliveriesBackUntilSubscribedIsOut) {
  TestShards shards(2);
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  const std::string far = shards.channel_at(1), near = shards.channel_at(0);
  shards.say(a, R"({"type":"history","channel":")" + far + "\"}");
  shards.say(a, subscribe(near));
  shards.carry(0);
  shards.carry(0);
  shards.say(b, publish(near));
  shards.carry(0);
  shards.carry(0);
  shards.flush();
  EXPECT_THAT(shards.take(a), IsEmpty());
  shards.run();
  EXPECT_EQ(seen(shards.take(a)), "history subscribed 1");
}

TEST(ReplyOrder, StopsReadingWhenTooManyRepliesAreOutstanding) {
  TestShards shards(2);
  const auto a = shards.open();
  for (std::size_t i = 0; i < Sessions::kPendingRepliesMax; ++i) {
    EXPECT_TRUE(shards.sessions().can_take(a.handle));
    shards.say(a, publish(shards.channel_at(1)));
  }
  EXPECT_FALSE(shards.sessions().can_take(a.handle));
  shards.run();
  EXPECT_TRUE(shards.sessions().can_take(a.handle));
  EXPECT_EQ(shards.take(a).size(), Sessions::kPendingRepliesMax);
}

TEST(HistoryRequest, PagesAndClamps) {
  TestShards shards;
  const auto a = shards.open();
  for (int i = 0; i < 5; ++i) shards.ask(a, publish("room:1", ",\"data\":" + std::to_string(i)));
  const auto text =
      shards.ask(a, R"({"type":"history","id":"h","channel":"room:1","after":1,"limit":2})").at(0);
  EXPECT_THAT(text, HasSubstr(R"({"type":"history","id":"h","channel":"room:1","epoch":")"));
  EXPECT_THAT(text, HasSubstr(R"("first":1,"last":5,"messages":[{"seq":2,)"));
  EXPECT_EQ(text.find("\"seq\":4"), std::string::npos);
  EXPECT_THAT(
      shards.ask(a, R"({"type":"history","channel":"room:1","epoch":"other"})"),
      ElementsAre(HasSubstr(R"("code":"conflict","message":"the channel has another epoch now","seq":5)")));
  EXPECT_THAT(shards.ask(a, R"({"type":"history","channel":"room:1","limit":0})"),
              ElementsAre(HasSubstr("\"messages\":[]")));
  EXPECT_THAT(shards.ask(a, R"({"type":"history","channel":"room:1","before":2})"),
              ElementsAre(HasSubstr("\"messages\":[{\"seq\":1,")));
}

TEST(Channel, KeepsItsEpochWhileItIsUsedAndForTenMinutes) {
  TestShards shards;
  const auto a = shards.open();
  const std::string epoch = epoch_in(shards.ask(a, subscribe("tiny:1"))[0]);
  for (int i = 0; i < 30; ++i) {
    shards.pass(60'000);
    shards.tick();
  }
  shards.ask(a, R"({"type":"unsubscribe","channel":"tiny:1"})");
  shards.pass(Home::kIdleMs - 1);
  shards.tick();
  EXPECT_EQ(epoch_in(shards.ask(a, R"({"type":"history","channel":"tiny:1"})")[0]), epoch);
  shards.pass(Home::kIdleMs);
  shards.tick();
  EXPECT_EQ(shards.home().size(), 0u);
  EXPECT_NE(epoch_in(shards.ask(a, R"({"type":"history","channel":"tiny:1"})")[0]), epoch);
}

}  // namespace
}  // namespace tidewire::hub
