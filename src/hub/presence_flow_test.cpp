// Presence as connections see it (protocol §4 `presence`, §5 `presence_event`).

#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string presence(const std::string& action, const std::string& channel, const std::string& data = {}) {
  return R"({"type":"presence","id":"p","action":")" + action + R"(","channel":")" + channel + "\"" +
         (data.empty() ? "" : ",\"data\":" + data) + "}";
}
std::string watch(const std::string& channel) {
  return R"({"type":"subscribe","id":"s","presence":true,"channel":")" + channel + "\"}";
}
const std::string kA = R"({"user":{"id":"a","type":"user"},"connections":1,"data":1,"since":1762907000000})";

TEST(PresenceFlow, ListsAndTellsOthers) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"));
  EXPECT_THAT(shards.ask(b, watch("room:1")), ElementsAre(HasSubstr("\"members\":[]")));
  EXPECT_THAT(shards.ask(a, presence("enter", "room:1", "1")),
              ElementsAre(R"({"type":"presence","id":"p","channel":"room:1","members":[)" + kA + "]}"));
  EXPECT_THAT(
      shards.take(b),
      ElementsAre(R"({"type":"presence_event","channel":"room:1","action":"enter","member":)" + kA + "}"));
  EXPECT_THAT(shards.ask(a, presence("update", "room:1", "2")), ElementsAre(HasSubstr("\"data\":2")));
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr(R"("action":"update")")));
  EXPECT_THAT(shards.ask(a, presence("leave", "room:1")), ElementsAre(HasSubstr("\"members\":[]")));
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr(R"("action":"leave")")));
}

TEST(PresenceFlow, TellsOnlyWhoAskedAndNotWhoCausedIt) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), plain = shards.open(TestShards::user("b"));
  shards.ask(a, watch("room:1"));
  shards.ask(plain, R"({"type":"subscribe","channel":"room:1"})");
  EXPECT_EQ(shards.ask(a, presence("enter", "room:1")).size(), 1u) << "the reply alone";
  EXPECT_THAT(shards.take(plain), IsEmpty());
}

TEST(PresenceFlow, RefusesWhatItCanNotDo) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a"));
  EXPECT_EQ(shards.code_of(a, presence("update", "room:1", "1")), "invalid_event");
  EXPECT_EQ(shards.code_of(a, presence("leave", "room:1")), "taken");
  EXPECT_EQ(shards.code_of(a, presence("enter", "tiny:1")), "forbidden");
  EXPECT_EQ(shards.code_of(shards.open(nullptr), presence("enter", "room:1")), "unauthorized");
}

TEST(PresenceFlow, WaitsOutTheGraceOfAConnectionThatClosed) {
  TestShards shards(2);
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"));
  const std::string far = shards.channel_at(1);
  shards.ask(b, watch(far));
  shards.ask(a, presence("enter", far));
  shards.take(b);
  shards.close(a);
  shards.run();
  shards.pass(4'999);
  shards.tick();
  EXPECT_THAT(shards.take(b), IsEmpty());
  shards.pass(1);
  shards.tick();
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr(R"("action":"leave")")));
}

TEST(PresenceFlow, DoesNotFlapWhenAPageIsReloaded) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"));
  shards.ask(b, watch("room:1"));
  shards.ask(a, presence("enter", "room:1"));
  shards.take(b);
  shards.close(a);
  const auto again = shards.open(TestShards::user("a"));
  shards.ask(again, presence("enter", "room:1"));
  shards.pass(10'000);
  shards.tick();
  EXPECT_THAT(shards.take(b), IsEmpty());
}

TEST(PresenceFlow, TakesTheAnonymousMemberAlongWhenItsConnectionEndsAsAUser) {
  TestShards shards;
  shards.namespaces.replace([] {
    auto list = test_namespaces();
    list[2].presence = true;
    return list;
  }());
  const auto peer = shards.open(nullptr);
  shards.ask(peer, presence("enter", "open:1"));
  shards.ask(peer, R"({"type":"auth","token":")" + shards.token("a", 60'000) + "\"}");
  EXPECT_THAT(shards.ask(peer, presence("leave", "open:1")), ElementsAre(HasSubstr("\"members\":[]")));
}

TEST(PresenceFlow, GivesTheListAnewToWhoWasTooSlowForEvents) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), slow = shards.open(TestShards::user("b"));
  shards.ask(slow, watch("room:1"));
  shards.at(slow).full = true;
  shards.ask(a, presence("enter", "room:1", "1"));
  EXPECT_THAT(shards.take(slow), IsEmpty());
  shards.drained(slow);
  EXPECT_THAT(shards.take(slow),
              ElementsAre(R"({"type":"presence","channel":"room:1","members":[)" + kA + "]}"));
}

TEST(PresenceFlow, TriesAgainWhenTheListDoesNotFitEither) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), slow = shards.open(TestShards::user("b"));
  shards.ask(slow, watch("room:1"));
  shards.at(slow).full = true;
  shards.ask(a, presence("enter", "room:1", "1"));
  shards.at(slow).wants_drained = false;
  shards.sessions().on_drained(slow.handle, shards.now);
  shards.run();
  EXPECT_TRUE(shards.at(slow).wants_drained);
  shards.drained(slow);
  EXPECT_THAT(shards.take(slow), ElementsAre(HasSubstr(kA)));
  shards.ask(a, presence("leave", "room:1"));
  EXPECT_THAT(shards.take(slow), ElementsAre(HasSubstr(R"("action":"leave")"))) << "live again";
}

TEST(PresenceFlow, DoesNotListAnewForAMissedMessageOfAnAuthor) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), slow = shards.open(TestShards::user("b"));
  shards.ask(slow, watch("room:1"));
  shards.at(slow).full = true;
  shards.ask(a, R"({"type":"publish","channel":"room:1"})");
  shards.ask(slow, R"({"type":"publish","echo":false,"channel":"room:1"})");
  shards.take(slow);
  shards.drained(slow);
  EXPECT_THAT(shards.take(slow), ElementsAre(HasSubstr("\"seq\":1"))) << "and no list";
}

TEST(PresenceFlow, MissesNoEventWhileSubscribedWaitsForAnEarlierReply) {
  TestShards shards(2);
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"));
  const std::string near = shards.channel_at(0), far = shards.channel_at(1);
  shards.say(b, R"({"type":"history","channel":")" + far + "\"}");
  shards.say(b, watch(near));
  shards.carry(0);
  shards.carry(0);
  shards.say(a, presence("enter", near, "1"));
  shards.run();
  const auto sent = shards.take(b);
  ASSERT_EQ(sent.size(), 3u);
  EXPECT_THAT(sent[1], HasSubstr("\"members\":[]"));
  EXPECT_EQ(sent[2], R"({"type":"presence","channel":")" + near + R"(","members":[)" + kA + "]}");
}

TEST(PresenceFlow, AnEventThatIsOlderThanTheListOfSubscribingAgainGoesBeforeIt) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"));
  shards.ask(b, watch("room:1"));
  shards.ask(a, presence("enter", "room:1"));
  shards.take(b);
  shards.say(a, presence("leave", "room:1"));
  EXPECT_THAT(shards.ask(b, watch("room:1")),
              ElementsAre(HasSubstr(R"("action":"leave")"), HasSubstr(R"("members":[])")));
}

TEST(PresenceFlow, ListsAnewAfterAReplyThatHadBecomeOld) {
  TestShards shards(2);
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"));
  const std::string near = shards.channel_at(0), far = shards.channel_at(1);
  shards.ask(b, watch(near));
  shards.say(b, R"({"type":"history","channel":")" + far + "\"}");
  shards.say(b, presence("get", near));
  shards.carry(0);
  shards.carry(0);
  shards.say(a, presence("enter", near, "1"));
  shards.carry(0);
  shards.carry(0);
  shards.flush();
  shards.run();
  const auto sent = shards.take(b);
  ASSERT_EQ(sent.size(), 4u);
  EXPECT_THAT(sent.front(), HasSubstr("presence_event"));
  EXPECT_THAT(sent[2], HasSubstr(R"("id":"p","channel":")" + near + R"(","members":[])"));
  EXPECT_THAT(sent[3], HasSubstr(kA));
}

TEST(PresenceFlow, RefusesWhatTheListOfAChannelCouldNotHold) {
  TestShards shards;
  const std::string data = "\"" + std::string(16 * 1024 - 2, 'x') + "\"";
  const std::size_t most = Presence::kDataBytesMax / data.size();
  for (std::size_t i = 0; i < most; ++i) {
    const auto each = shards.open(TestShards::user("u" + std::to_string(i)));
    shards.ask(each, presence("enter", "room:1", data));
  }
  const auto late = shards.open(TestShards::user("late"));
  EXPECT_EQ(shards.code_of(late, presence("enter", "room:1", "1")), "too_large");
  EXPECT_EQ(shards.code_of(late, presence("update", "room:1")), "invalid_event") << "it has not entered";
  EXPECT_EQ(shards.code_of(late, presence("enter", "room:1")), "taken") << "without data anybody may";
}

}  // namespace
}  // namespace tidewire::hub
