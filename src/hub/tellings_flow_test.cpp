// A session's messages in the inboxes of members who are away.
#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

TEST(TellingsFlow, AnswersASessionsMessageOnceThoseWhoAreAwayHaveIt) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"), 0, false);
  shards.run();
  shards.ask(a, publish_to("session:1", R"("event":"join")"));
  shards.ask(a, publish_to("session:1", R"("event":"join","data":{"user":"b"})"));
  shards.take(b);
  EXPECT_THAT(shards.ask(a, publish_to("session:1", R"("data":"x","key":"k")")),
              ElementsAre(HasSubstr("\"seq\":3")));
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("session_message")));
  // A repeat is told again, and is one entry all the same.
  EXPECT_THAT(shards.ask(a, publish_to("session:1", R"("data":"x","key":"k")")),
              ElementsAre(AllOf(HasSubstr("\"seq\":3"), HasSubstr("duplicate"))));
  EXPECT_THAT(shards.take(b), IsEmpty());

  shards.ask(b, subscribe_to("session:1"));
  shards.ask(a, publish_to("session:1", R"("data":"y")"));
  EXPECT_THAT(shards.take(b), ElementsAre(AllOf(HasSubstr("session:1"), Not(HasSubstr("session_message")))));
  shards.ask(a, publish_to("session:1", R"("event":"leave","data":{"user":"b"})"));
  EXPECT_THAT(shards.take(b), Contains(R"({"type":"unsubscribed","channel":"session:1","code":"revoked"})"));
  EXPECT_EQ(shards.code_of(b, subscribe_to("session:1")), "forbidden");
}

TEST(TellingsFlow, TellsAMemberWhoJoinsAgainAndLeavesCloseBehindAMessage) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"), 0, false);
  shards.ask(a, publish_to("session:1", R"("event":"join")"));
  shards.ask(a, publish_to("session:1", R"("event":"join","data":{"user":"b"})"));
  shards.take(b);
  shards.say(a, publish_to("session:1", R"("data":"x")"));
  shards.say(a, publish_to("session:1", R"("event":"join","data":{"user":"b"})"));
  shards.ask(a, publish_to("session:1", R"("event":"leave","data":{"user":"b"})"));
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("session_message")));
}

TEST(TellingsFlow, AChangeThatFailedTellsNothingOfTheMembers) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"), 0, false);
  shards.ask(a, publish_to("session:1", R"("event":"join")"));
  shards.ask(a, publish_to("session:1", R"("event":"join","data":{"user":"b"})"));
  shards.take(b);
  shards.log_held = true;
  shards.ask(a, publish_to("session:1", R"("event":"leave","data":{"user":"b"})"));
  shards.ask(a, publish_to("session:1", R"("event":"join","data":{"user":"b"})"));
  auto operations = std::exchange(shards.operations(), {});
  for (const log::Operation& operation : operations)
    if (std::holds_alternative<log::Append>(operation))
      shards.home().handle(append_fails(operation), shards.now);
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(a), Each(HasSubstr("unavailable")));
  shards.say(a, publish_to("session:1", R"("data":"x")"));
  shards.ask(a, publish_to("session:1", R"("event":"leave","data":{"user":"b"})"));
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("session_message")));
}

// A session at shard 0 of a user `a`, with so many members whose inboxes are at shard 1.
struct FarInboxes {
  explicit FarInboxes(int count)
      : a(shards.open(TestShards::user("a"))), name(shards.channel_at(0, "session")) {
    shards.ask(a, publish_to(name, R"("event":"join")"));
    for (int i = 0; std::ssize(users) < count; ++i) {
      const std::string user = "m" + std::to_string(i);
      if (home_of({0, "user:" + user}, kTestSeed, 2) != 1) continue;
      users.push_back(user);
      shards.ask(a, publish_to(name, R"("event":"join","data":{"user":")" + user + "\"}"));
    }
  }
  // Makes it safe and sends out what may be; nothing of that arrives.
  void say(const std::string& rest) { say(a, name, rest); }
  void say(TestShards::Peer peer, const std::string& channel, const std::string& rest) {
    shards.say(peer, publish_to(channel, rest));
    for (int i = 0; i < 3; ++i) {
      shards.carry(0);
      shards.work_log(0);
    }
    shards.flush();
  }
  std::vector<std::string> inbox_of(const std::string& user) {
    return shards.ask(shards.open(TestShards::user(user)),
                      subscribe_to("user:" + user, R"(,"snapshot":false)"));
  }

  TestShards shards{2};
  TestShards::Peer a;
  std::string name;
  std::vector<std::string> users;
};

// Made when it is asked for: a compiler would work it out byte by byte.
std::string large() { return R"("data":")" + std::string(1'000'000, 'x') + '"'; }

TEST(TellingsFlow, TellsALargeMessageInPiecesThatTheLogCanTake) {
  FarInboxes far(20);
  far.say(large());
  EXPECT_THAT(far.shards.take(far.a), IsEmpty());
  far.shards.carry(1);
  EXPECT_EQ(far.shards.operations(1).size(), 5u);  // 4 MiB, half of what all shards may
  far.shards.run();
  EXPECT_THAT(far.shards.take(far.a), ElementsAre(HasSubstr("\"published\"")));
  for (const std::string& user : far.users)
    EXPECT_THAT(far.inbox_of(user), Contains(HasSubstr("session_message")));
}

TEST(TellingsFlow, TellsOneSessionWhileAnotherHasMuchToTell) {
  FarInboxes far(20);
  const auto b = far.shards.open(TestShards::user("b"));
  std::string other = "session:o";
  while (home_of({0, other}, kTestSeed, 2) != 0) other += 'o';
  far.shards.ask(b, publish_to(other, R"("event":"join")"));
  far.shards.ask(b, publish_to(other, R"("event":"join","data":{"user":")" + far.users[0] + "\"}"));
  far.say(large());
  far.say(b, other, R"("data":"short")");
  std::size_t appended = 0;
  while (far.shards.take(b).empty()) {
    far.shards.carry(1);
    for (const log::Operation& operation : far.shards.operations(1))
      appended += std::holds_alternative<log::Append>(operation) ? 1 : 0;
    ASSERT_LT(appended, 12u);
    far.shards.work_log(1);
    far.shards.carry(0);
    far.shards.flush();
  }
}

TEST(TellingsFlow, KeepsTheOrderOfASessionInEachInbox) {
  FarInboxes far(12);
  far.say(large());
  for (int i = 0; i < 3; ++i) far.say(R"("data":"short")");
  far.shards.run();
  EXPECT_THAT(far.shards.take(far.a), SizeIs(4));
  for (const std::string& user : far.users) {
    const std::string got =
        far.shards.ask(far.shards.open(TestShards::user(user)), subscribe_to("user:" + user))[0];
    std::size_t at = 0;
    for (int seq = 14; seq <= 17; ++seq) {
      at = got.find("\"seq\":" + std::to_string(seq) + ",\"from\"", at);
      ASSERT_NE(at, std::string::npos) << seq;
    }
  }
}

TEST(TellingsFlow, AnswersARepeatOnceTheFirstIsTold) {
  FarInboxes far(20);
  const auto present = far.shards.open(TestShards::user(far.users[0]));
  far.shards.ask(present, subscribe_to(far.name));
  far.say(large() + R"(,"key":"k")");
  far.say(R"("key":"k")");
  EXPECT_THAT(far.shards.take(far.a), IsEmpty());
  far.shards.run();
  EXPECT_THAT(far.shards.take(far.a), ElementsAre(Not(HasSubstr("duplicate")), HasSubstr("duplicate")));
  // Who has gone since then saw it.
  far.shards.close(present);
  EXPECT_THAT(far.shards.ask(far.a, publish_to(far.name, R"("key":"k")")),
              ElementsAre(HasSubstr("duplicate")));
  EXPECT_THAT(far.inbox_of(far.users[0]), Not(Contains(HasSubstr("session_message"))));
}

TEST(TellingsFlow, TellsARepeatAgainWhereAnInboxHasFailed) {
  FarInboxes far(1);
  far.say(R"("data":1,"key":"k")");
  far.shards.carry(1);
  far.shards.work_log(1);  // opens it
  far.shards.fail_append(1);
  far.shards.run();
  EXPECT_THAT(far.shards.take(far.a), ElementsAre(HasSubstr("unavailable")));
  EXPECT_THAT(far.shards.ask(far.a, publish_to(far.name, R"("data":1,"key":"k")")),
              ElementsAre(HasSubstr("duplicate")));
  EXPECT_THAT(far.inbox_of(far.users[0]), Contains(HasSubstr("session_message")));
}

// Whose membership the second `join` did not begin.
TEST(TellingsFlow, TellsARepeatToWhoJoinedAgainAndHasLeftSince) {
  FarInboxes far(1);
  far.say(R"("data":1,"key":"k")");
  far.shards.carry(1);
  far.shards.work_log(1);  // opens it
  far.shards.fail_append(1);
  far.shards.run();
  for (const char* event : {"join", "leave"})
    far.say(R"("data":{"user":")" + far.users[0] + R"("},"event":")" + event + '"');
  far.shards.run();
  EXPECT_THAT(far.shards.take(far.a),
              ElementsAre(HasSubstr("unavailable"), HasSubstr("\"published\""), HasSubstr("\"published\"")));
  EXPECT_THAT(far.shards.ask(far.a, publish_to(far.name, R"("data":1,"key":"k")")),
              ElementsAre(HasSubstr("duplicate")));
  EXPECT_THAT(far.inbox_of(far.users[0]), Contains(HasSubstr("session_message")));
}

TEST(TellingsFlow, TakesNoMoreMessagesOfASessionThatHasTooMuchToTell) {
  FarInboxes far(2);
  for (int i = 0; i < 34; ++i) far.say(large());
  EXPECT_THAT(far.shards.take(far.a), IsEmpty());
  far.say(R"("data":"one more")");
  EXPECT_THAT(far.shards.take(far.a), IsEmpty());  // answers keep the order of the requests
  // What nobody is told of is taken.
  far.say(R"("event":"sticker")");
  far.shards.run();
  auto sent = far.shards.take(far.a);
  ASSERT_THAT(sent, SizeIs(36));
  EXPECT_THAT(sent[34], AllOf(HasSubstr("unavailable"), HasSubstr("retry_after_ms")));
  EXPECT_THAT(sent[35], HasSubstr("\"published\""));
  EXPECT_THAT(far.shards.ask(far.a, publish_to(far.name, R"("data":"later")")),
              ElementsAre(HasSubstr("\"published\"")));
}

// A session at shard 0 of `a`, and its member `b` at shard 1, whose inbox another connection follows.
struct MemberFarAway {
  MemberFarAway() {
    say(R"("event":"join")");
    say(R"("event":"join","data":{"user":"b"})");
    shards.ask(b, subscribe_to(name));
    shards.take(inbox);
  }
  void say(const std::string& rest) { shards.ask(a, publish_to(name, rest)); }
  std::string unsubscribe() const { return R"({"type":"unsubscribe","channel":")" + name + "\"}"; }

  TestShards shards{2};
  std::string name = shards.channel_at(0, "session");
  TestShards::Peer a = shards.open(TestShards::user("a"), 0), b = shards.open(TestShards::user("b"), 1),
                   inbox = shards.open(TestShards::user("b"), 1, false);
};

TEST(TellingsFlow, TellsAMemberWhatWasOnItsWayWhenItUnsubscribed) {
  MemberFarAway far;
  far.shards.say(far.a, publish_to(far.name, R"("data":1)"));
  far.shards.carry(0);
  far.shards.work_log(0);  // it is on its way to shard 1
  far.shards.say(far.b, far.unsubscribe());
  EXPECT_THAT(far.shards.take(far.b), ElementsAre(HasSubstr("\"unsubscribed\"")));
  far.shards.run();
  EXPECT_THAT(far.shards.take(far.b), IsEmpty());
  EXPECT_THAT(far.shards.take(far.inbox),
              ElementsAre(AllOf(HasSubstr("session_message"), HasSubstr(R"("data":1)"))));
}

TEST(TellingsFlow, GivesAMemberThatUnsubscribesWhatItsShardHas) {
  MemberFarAway far;
  far.shards.say(far.a, publish_to(far.name, R"("data":1)"));
  far.shards.carry(0);
  far.shards.work_log(0);
  far.shards.carry(1);  // into the batch of this turn
  far.shards.say(far.b, far.unsubscribe());
  EXPECT_THAT(far.shards.at(far.b).hurried, SizeIs(1));
  far.shards.run();
  EXPECT_THAT(far.shards.take(far.b), ElementsAre(HasSubstr(R"("data":1)"), HasSubstr("\"unsubscribed\"")));
  EXPECT_THAT(far.shards.take(far.inbox), IsEmpty());
}

TEST(TellingsFlow, TellsAMemberThatUnsubscribesWhatItWasTooSlowFor) {
  MemberFarAway far;
  far.say(R"("data":0)");
  far.shards.at(far.b).full = true;
  far.say(R"("data":1,"key":"k")");
  far.shards.ask(far.inbox, publish_to(far.name, R"("data":"its own")"));
  far.say(R"("data":2)");
  far.shards.take(far.b);
  far.shards.ask(far.b, far.unsubscribe());
  EXPECT_THAT(far.shards.take(far.inbox), ElementsAre(HasSubstr(R"("data":1)"), HasSubstr(R"("data":2)")));
  // That it was told late says nothing of the others.
  EXPECT_THAT(far.shards.ask(far.a, publish_to(far.name, R"("data":1,"key":"k")")),
              Contains(HasSubstr("duplicate")));
  far.say(R"("data":3)");
  EXPECT_THAT(far.shards.take(far.inbox), ElementsAre(HasSubstr(R"("data":3)")));
}

TEST(TellingsFlow, TellsNobodyWhatAnotherConnectionHasOrWhatCameBeforeIt) {
  MemberFarAway far;
  const auto other = far.shards.open(TestShards::user("b"), 0);
  for (int i = 0; i < 2; ++i) far.say(R"("data":0)");
  far.shards.take(far.b);
  // What it asks for again is no news.
  far.shards.ask(far.b, far.unsubscribe());
  far.shards.at(far.b).full = true;
  far.shards.ask(far.b, subscribe_to(far.name, R"(,"history":2)"));
  far.shards.ask(far.b, far.unsubscribe());
  EXPECT_THAT(far.shards.take(far.inbox), IsEmpty());
  far.shards.ask(far.b, subscribe_to(far.name));
  far.shards.ask(other, subscribe_to(far.name));
  far.say(R"("data":1)");
  far.shards.ask(far.b, far.unsubscribe());
  EXPECT_THAT(far.shards.take(far.inbox), IsEmpty());
}

}  // namespace
}  // namespace tidewire::hub
