// Channels that fold, from request to delivery: what is said of a state that is ahead of the log, windows,
// backlogs, owners. The rules of each kind are tested beside it, in src/kinds.
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

std::string publish(const std::string& channel, const std::string& rest) {
  return R"({"type":"publish","channel":")" + channel + "\"," + rest + "}";
}
std::string subscribe(const std::string& channel, const std::string& rest = {}) {
  return R"({"type":"subscribe","channel":")" + channel + "\"" + rest + "}";
}
TEST(KindFlow, ChecksAnEventAgainstThoseThatAreStillOnTheirWay) {
  TestShards shards;
  const auto a = shards.open();
  shards.ask(a, publish("doc:1", R"("data":{"n":1})"));
  shards.log_held = true;
  shards.ask(a, publish("doc:1", R"("merge":{"n":2},"if_seq":1)"));
  EXPECT_THAT(shards.ask(a, publish("doc:1", R"("merge":{"n":3},"if_seq":2)")), IsEmpty());
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("\"seq\":2"), HasSubstr("\"seq\":3")));
}

TEST(KindFlow, SaysNothingOfAStateThatIsNotSafeYet) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  shards.ask(a, publish("doc:1", R"("data":1)"));
  shards.log_held = true;
  shards.ask(a, publish("doc:1", R"("data":2)"));
  EXPECT_THAT(shards.ask(b, subscribe("doc:1")), IsEmpty());
  EXPECT_THAT(shards.ask(b, publish("doc:1", R"("data":3,"if_seq":1)")), IsEmpty());
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr(R"("snapshot":{"seq":2,"data":2})"),
                                          AllOf(HasSubstr("conflict"), HasSubstr("\"seq\":2"))));
}

TEST(KindFlow, BuildsTheStateAnewWhenAnAppendFails) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  shards.ask(a, publish("doc:1", R"("data":{"kept":1})"));
  shards.log_held = true;
  shards.ask(a, publish("doc:1", R"("merge":{"lost":1})"));
  shards.ask(b, subscribe("doc:1"));
  auto operations = std::exchange(shards.operations(), {});
  ASSERT_EQ(operations.size(), 1u);
  shards.home().handle(append_fails(operations[0]), shards.now);
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(a), ElementsAre(HasSubstr("unavailable")));
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("unavailable")));
  EXPECT_THAT(shards.ask(b, subscribe("doc:1")),
              ElementsAre(HasSubstr(R"("snapshot":{"seq":1,"data":{"kept":1}})")));
  EXPECT_THAT(shards.ask(a, publish("doc:1", R"("merge":{"n":2},"if_seq":1)")),
              ElementsAre(HasSubstr("\"seq\":2")));
}

TEST(KindFlow, KeepsTheStateWhileNobodyUsesTheChannel) {
  TestShards shards;
  const auto a = shards.open();
  for (int i = 0; i < 600; ++i)
    shards.ask(a,
               publish("doc:1", R"("merge":{"k)" + std::to_string(i % 7) + "\":" + std::to_string(i) + "}"));
  const auto before = shards.ask(a, subscribe("doc:1"));
  shards.ask(a, R"({"type":"unsubscribe","channel":"doc:1"})");
  shards.pass(Home::kIdleMs + 1);
  shards.tick();
  EXPECT_EQ(shards.home().size(), 0u);
  EXPECT_EQ(shards.ask(a, subscribe("doc:1")), before);
}

TEST(KindFlow, ALargeInboxThatNobodyFollowsSoonGivesItsMemoryBack) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a"));
  const std::string large(Home::kLargeInboxBytes, 'x');
  shards.ask(a, publish("user:small", R"("data":1)"));
  shards.ask(a, publish("user:large", R"("data":")" + large + '"'));
  EXPECT_EQ(shards.home().size(), 2u);
  shards.pass(Home::kParkMs);
  shards.tick();
  EXPECT_EQ(shards.home().size(), 1u);
  const auto u = shards.open(TestShards::user("large"));
  EXPECT_THAT(shards.ask(u, subscribe("user:large")), Contains(HasSubstr(large)));
}

TEST(KindFlow, MergesWhatAWindowHeldBack) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  shards.ask(b, subscribe("board:1"));
  shards.ask(a, publish("board:1", R"("merge":{"n":1})"));
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("\"seq\":1")));
  shards.ask(a, publish("board:1", R"("merge":{"n":2})"));
  shards.ask(a, publish("board:1", R"("merge":{"m":3})"));
  EXPECT_THAT(shards.take(b), IsEmpty());
  shards.pass(100);
  shards.tick();
  EXPECT_THAT(shards.take(b), ElementsAre(AllOf(HasSubstr("\"seq\":3,\"first_seq\":2"),
                                                HasSubstr(R"("merge":{"m":3,"n":2})"))));
}

TEST(KindFlow, SendsAWindowNotBackToItsOnlyAuthorWhoWantsNoEcho) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  for (const auto& peer : {a, b}) shards.ask(peer, subscribe("board:1"));
  const auto change = [&](TestShards::Peer who, const std::string& rest) {
    shards.ask(who, publish("board:1", rest + R"(,"echo":false)"));
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

TEST(KindFlow, EndsAWindowForAnEphemeralEvent) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  shards.ask(b, subscribe("board:1"));
  const auto merged = [](const std::string& n) { return publish("board:1", R"("merge":{"n":)" + n + "}"); };
  const auto ephemeral = publish("board:1", R"("ephemeral":true,"merge":{"e":1})");
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
  shards.ask(a, publish("board:1", R"("data":{"n":6})"));
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

TEST(KindFlow, LetsNobodyInByAMembershipThatFails) {
  TestShards shards;
  const auto owner = shards.open(), bob = shards.open(TestShards::user("bob"));
  shards.ask(owner, publish("session:1", R"("event":"join")"));
  shards.log_held = true;
  shards.ask(owner, publish("session:1", R"("event":"join","data":{"user":"bob"})"));
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

TEST(KindFlow, TakesWhoClosedWhileItsEnterWaitedOutOfTheList) {
  TestShards shards;
  const auto owner = shards.open(), bob = shards.open(TestShards::user("bob"));
  shards.ask(owner, publish("session:1", R"("event":"join")"));
  shards.log_held = true;
  shards.ask(owner, publish("session:1", R"("event":"join","data":{"user":"bob"})"));
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

TEST(KindFlow, TellsTheWholeDocumentWhereNoMergeCan) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b"));
  shards.ask(b, subscribe("board:1"));
  shards.ask(a, publish("board:1", R"("data":{"n":1})"));
  shards.ask(a, publish("board:1", R"("merge":{"m":2})"));
  shards.ask(a, publish("board:1", R"("patch":[{"op":"remove","path":"/n"}])"));
  shards.take(b);
  shards.log_held = true;
  shards.ask(a, publish("board:1", R"("merge":{"o":4})"));
  shards.pass(100);
  shards.tick();
  EXPECT_THAT(shards.take(b), IsEmpty());  // the state is that of an entry which is not safe
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(b), ElementsAre(AllOf(HasSubstr("\"seq\":4,\"first_seq\":2"),
                                                HasSubstr(R"("data":{"m":2,"o":4})"))));
}

TEST(KindFlow, ShowsTheWholeDocumentWhereItsHistoryWentWhileItWasRead) {
  TestShards shards;
  const auto author = shards.open(), reader = shards.open(TestShards::user("b"));
  const std::string large = R"("data":")" + std::string(50'000, 'x') + '"';
  for (int i = 0; i < 5; ++i) shards.ask(author, publish("few:1", large));
  shards.ask(reader, subscribe("few:1"));
  shards.at(reader).full = true;
  for (int i = 0; i < 7; ++i) shards.ask(author, publish("few:1", large));
  // What it lacks is to be read behind appends that push it out.
  shards.log_held = true;
  for (int i = 0; i < 5; ++i) shards.say(author, publish("few:1", large));
  shards.drained(reader);
  shards.log_held = false;
  shards.run();
  for (int i = 0; i < 5; ++i) shards.drained(reader);
  const auto sent = shards.take(reader);
  ASSERT_THAT(sent, Not(IsEmpty()));
  EXPECT_THAT(sent[0], HasSubstr(R"({"type":"snapshot","channel":"few:1")"));
  EXPECT_THAT(sent, Not(Contains(HasSubstr(R"("type":"gap")"))));
}

TEST(KindFlow, GivesANewcomerInTheMiddleOfAWindowWhatItLacks) {
  TestShards shards;
  const auto a = shards.open(), b = shards.open(TestShards::user("b")),
             c = shards.open(TestShards::user("c"));
  shards.ask(b, subscribe("board:1"));
  shards.ask(a, publish("board:1", R"("merge":{"n":1})"));
  shards.ask(a, publish("board:1", R"("merge":{"n":2})"));
  shards.take(b);
  EXPECT_THAT(shards.ask(c, subscribe("board:1")), ElementsAre(HasSubstr(R"("snapshot":{"seq":2,)")));
  const auto d = shards.open(TestShards::user("d"));
  shards.ask(a, publish("board:1", R"("merge":{"n":3})"));
  shards.ask(d, subscribe("board:1"));
  shards.pass(100);
  shards.tick();
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("\"seq\":3,\"first_seq\":2")));
  EXPECT_THAT(shards.take(d), IsEmpty());  // it has everything
  shards.drained(c);
  EXPECT_THAT(shards.take(c), ElementsAre(AllOf(HasSubstr("\"seq\":3,"), Not(HasSubstr("first_seq")))));
  shards.pass(100);
  shards.ask(a, publish("board:1", R"("merge":{"n":4})"));
  for (const auto& peer : {b, c, d}) EXPECT_THAT(shards.take(peer), ElementsAre(HasSubstr("\"seq\":4,")));
}

TEST(KindFlow, MergesTheDeltasOfARunForASlowReader) {
  TestShards shards;
  const auto a = shards.open();
  const auto reader = shards.open(TestShards::user("u"));
  const auto delta = [](const std::string& text) {
    return publish("agent:1", R"("event":"delta","data":{"text":")" + text + "\"}");
  };
  shards.ask(a, delta("a"));
  shards.ask(reader, subscribe("agent:1"));
  shards.at(reader).full = true;
  for (const char* text : {"b", "c", "d"}) shards.ask(a, delta(text));
  shards.drained(reader);
  EXPECT_THAT(shards.take(reader),
              ElementsAre(AllOf(HasSubstr("\"seq\":4,\"first_seq\":2"), HasSubstr(R"("text":"bcd")"))));
}

TEST(KindFlow, FollowsTheInboxOfAnAuthenticatedConnection) {
  TestShards shards;
  const auto server = shards.open(TestShards::user("s"));
  for (const char* priority : {"low", "critical", "medium"})
    shards.ask(server, publish("user:u", R"("priority":")" + std::string(priority) + "\""));
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

TEST(KindFlow, SendsALargeBacklogAtTheReadersPace) {
  TestShards shards;
  const auto server = shards.open(TestShards::user("s"));
  const std::string text(100'000, 'x');
  for (int i = 0; i < 10; ++i) shards.ask(server, publish("user:u", R"("data":")" + text + "\""));
  const auto u = shards.open(TestShards::user("u"));
  shards.at(u).full = true;
  shards.ask(u, subscribe("user:u", R"(,"snapshot":false)"));
  shards.take(u);
  shards.ask(server, publish("user:u", R"("data":"live")"));
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

TEST(KindFlow, AnswersASessionsMessageOnceThoseWhoAreAwayHaveIt) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"), 0, false);
  shards.run();
  shards.ask(a, publish("session:1", R"("event":"join")"));
  shards.ask(a, publish("session:1", R"("event":"join","data":{"user":"b"})"));
  shards.take(b);
  EXPECT_THAT(shards.ask(a, publish("session:1", R"("data":"x","key":"k")")),
              ElementsAre(HasSubstr("\"seq\":3")));
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("session_message")));
  // A repeat is told again, and is one entry all the same.
  EXPECT_THAT(shards.ask(a, publish("session:1", R"("data":"x","key":"k")")),
              ElementsAre(AllOf(HasSubstr("\"seq\":3"), HasSubstr("duplicate"))));
  EXPECT_THAT(shards.take(b), IsEmpty());

  shards.ask(b, subscribe("session:1"));
  shards.ask(a, publish("session:1", R"("data":"y")"));
  EXPECT_THAT(shards.take(b), ElementsAre(AllOf(HasSubstr("session:1"), Not(HasSubstr("session_message")))));
  shards.ask(a, publish("session:1", R"("event":"leave","data":{"user":"b"})"));
  EXPECT_THAT(shards.take(b), Contains(R"({"type":"unsubscribed","channel":"session:1","code":"revoked"})"));
  EXPECT_EQ(shards.code_of(b, subscribe("session:1")), "forbidden");
}

TEST(KindFlow, TellsAMemberWhoJoinsAgainAndLeavesCloseBehindAMessage) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"), 0, false);
  shards.ask(a, publish("session:1", R"("event":"join")"));
  shards.ask(a, publish("session:1", R"("event":"join","data":{"user":"b"})"));
  shards.take(b);
  shards.say(a, publish("session:1", R"("data":"x")"));
  shards.say(a, publish("session:1", R"("event":"join","data":{"user":"b"})"));
  shards.ask(a, publish("session:1", R"("event":"leave","data":{"user":"b"})"));
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("session_message")));
}

TEST(KindFlow, AChangeThatFailedTellsNothingOfTheMembers) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a")), b = shards.open(TestShards::user("b"), 0, false);
  shards.ask(a, publish("session:1", R"("event":"join")"));
  shards.ask(a, publish("session:1", R"("event":"join","data":{"user":"b"})"));
  shards.take(b);
  shards.log_held = true;
  shards.ask(a, publish("session:1", R"("event":"leave","data":{"user":"b"})"));
  shards.ask(a, publish("session:1", R"("event":"join","data":{"user":"b"})"));
  auto operations = std::exchange(shards.operations(), {});
  for (const log::Operation& operation : operations)
    if (std::holds_alternative<log::Append>(operation))
      shards.home().handle(append_fails(operation), shards.now);
  shards.log_held = false;
  shards.run();
  EXPECT_THAT(shards.take(a), Each(HasSubstr("unavailable")));
  shards.say(a, publish("session:1", R"("data":"x")"));
  shards.ask(a, publish("session:1", R"("event":"leave","data":{"user":"b"})"));
  EXPECT_THAT(shards.take(b), ElementsAre(HasSubstr("session_message")));
}

// A session at shard 0 of a user `a`, with so many members whose inboxes are at shard 1.
struct FarInboxes {
  explicit FarInboxes(int count)
      : a(shards.open(TestShards::user("a"))), name(shards.channel_at(0, "session")) {
    shards.ask(a, publish(name, R"("event":"join")"));
    for (int i = 0; std::ssize(users) < count; ++i) {
      const std::string user = "m" + std::to_string(i);
      if (home_of({0, "user:" + user}, kTestSeed, 2) != 1) continue;
      users.push_back(user);
      shards.ask(a, publish(name, R"("event":"join","data":{"user":")" + user + "\"}"));
    }
  }
  // Makes it safe and sends out what may be; nothing of that arrives.
  void say(const std::string& rest) { say(a, name, rest); }
  void say(TestShards::Peer peer, const std::string& channel, const std::string& rest) {
    shards.say(peer, publish(channel, rest));
    for (int i = 0; i < 3; ++i) {
      shards.carry(0);
      shards.work_log(0);
    }
    shards.flush();
  }
  std::vector<std::string> inbox_of(const std::string& user) {
    return shards.ask(shards.open(TestShards::user(user)), subscribe("user:" + user, R"(,"snapshot":false)"));
  }

  TestShards shards{2};
  TestShards::Peer a;
  std::string name;
  std::vector<std::string> users;
};

// Made when it is asked for: a compiler would work it out byte by byte.
std::string large() { return R"("data":")" + std::string(1'000'000, 'x') + '"'; }

TEST(KindFlow, TellsALargeMessageInPiecesThatTheLogCanTake) {
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

TEST(KindFlow, TellsOneSessionWhileAnotherHasMuchToTell) {
  FarInboxes far(20);
  const auto b = far.shards.open(TestShards::user("b"));
  std::string other = "session:o";
  while (home_of({0, other}, kTestSeed, 2) != 0) other += 'o';
  far.shards.ask(b, publish(other, R"("event":"join")"));
  far.shards.ask(b, publish(other, R"("event":"join","data":{"user":")" + far.users[0] + "\"}"));
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

TEST(KindFlow, KeepsTheOrderOfASessionInEachInbox) {
  FarInboxes far(12);
  far.say(large());
  for (int i = 0; i < 3; ++i) far.say(R"("data":"short")");
  far.shards.run();
  EXPECT_THAT(far.shards.take(far.a), SizeIs(4));
  for (const std::string& user : far.users) {
    const std::string got =
        far.shards.ask(far.shards.open(TestShards::user(user)), subscribe("user:" + user))[0];
    std::size_t at = 0;
    for (int seq = 14; seq <= 17; ++seq) {
      at = got.find("\"seq\":" + std::to_string(seq) + ",\"from\"", at);
      ASSERT_NE(at, std::string::npos) << seq;
    }
  }
}

TEST(KindFlow, AnswersARepeatOnceTheFirstIsTold) {
  FarInboxes far(20);
  const auto present = far.shards.open(TestShards::user(far.users[0]));
  far.shards.ask(present, subscribe(far.name));
  far.say(large() + R"(,"key":"k")");
  far.say(R"("key":"k")");
  EXPECT_THAT(far.shards.take(far.a), IsEmpty());
  far.shards.run();
  EXPECT_THAT(far.shards.take(far.a), ElementsAre(Not(HasSubstr("duplicate")), HasSubstr("duplicate")));
  // Who has gone since then saw it.
  far.shards.close(present);
  EXPECT_THAT(far.shards.ask(far.a, publish(far.name, R"("key":"k")")), ElementsAre(HasSubstr("duplicate")));
  EXPECT_THAT(far.inbox_of(far.users[0]), Not(Contains(HasSubstr("session_message"))));
}

TEST(KindFlow, TellsARepeatAgainWhereAnInboxHasFailed) {
  FarInboxes far(1);
  far.say(R"("data":1,"key":"k")");
  far.shards.carry(1);
  far.shards.work_log(1);  // opens it
  auto operations = std::exchange(far.shards.operations(1), {});
  ASSERT_EQ(operations.size(), 1u);
  far.shards.home(1).handle(append_fails(operations[0]), far.shards.now);
  far.shards.run();
  EXPECT_THAT(far.shards.take(far.a), ElementsAre(HasSubstr("unavailable")));
  EXPECT_THAT(far.shards.ask(far.a, publish(far.name, R"("data":1,"key":"k")")),
              ElementsAre(HasSubstr("duplicate")));
  EXPECT_THAT(far.inbox_of(far.users[0]), Contains(HasSubstr("session_message")));
}

TEST(KindFlow, TakesNoMoreMessagesOfASessionThatHasTooMuchToTell) {
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
  EXPECT_THAT(far.shards.ask(far.a, publish(far.name, R"("data":"later")")),
              ElementsAre(HasSubstr("\"published\"")));
}

TEST(KindFlow, EndsARunWhoseCreatorIsGone) {
  TestShards shards(2);
  const auto creator = shards.open(TestShards::user("c"), 1), reader = shards.open(TestShards::user("c"), 0);
  shards.ask(creator, publish("agent:1", R"("event":"start")"));
  shards.ask(reader, subscribe("agent:1"));
  shards.pass(61'000);
  shards.tick();
  EXPECT_THAT(shards.take(reader), IsEmpty());  // it has connections
  shards.close(creator);
  shards.close(reader);
  shards.pass(61'000);
  shards.tick();
  const auto late = shards.open(TestShards::user("c"), 0);
  EXPECT_THAT(shards.ask(late, subscribe("agent:1")),
              ElementsAre(AllOf(HasSubstr("\"seq\":2"), HasSubstr(R"("status":"failed")"))));
}

TEST(KindFlow, TellsAStrangerNothing) {
  TestShards shards;
  const auto owner = shards.open(TestShards::user("a")), stranger = shards.open(TestShards::user("b"));
  shards.ask(owner, publish("session:1", R"("event":"join")"));
  EXPECT_EQ(shards.code_of(stranger, subscribe("session:1")), "forbidden");
  EXPECT_EQ(shards.code_of(stranger, R"({"type":"history","channel":"session:1"})"), "forbidden");
  EXPECT_EQ(shards.code_of(stranger, publish("session:1", R"("data":1)")), "forbidden");
  EXPECT_EQ(shards.code_of(stranger, R"({"type":"ack","channel":"user:a","up_to":1})"), "forbidden");
  EXPECT_EQ(shards.code_of(stranger, R"({"type":"ack","channel":"room:a","up_to":1})"), "invalid_message");
  EXPECT_EQ(shards.code_of(shards.open(nullptr), subscribe("session:1")), "unauthorized");
}

}  // namespace
}  // namespace tidewire::hub
