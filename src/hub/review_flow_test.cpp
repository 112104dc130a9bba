// What a connection was let into ends with the right to it (protocol §5 `unsubscribed`).

#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

std::string of(const std::string& type, const std::string& channel, const std::string& more = {}) {
  return R"({"type":")" + type + R"(","channel":")" + channel + "\"" + more + "}";
}
std::string of_presence(const std::string& action, const std::string& channel, const std::string& more = {}) {
  return of("presence", channel, R"(,"action":")" + action + "\"" + more);
}
std::string revoked(const std::string& channel) {
  return R"({"type":"unsubscribed","channel":")" + channel + R"(","code":"revoked"})";
}

class ReviewFlow : public testing::Test {
 protected:
  // A token of the user with these grants: a channel pattern each, for everything that there is to do.
  std::string auth(const std::string& user, const std::vector<std::string>& patterns = {}) {
    std::string grants;
    for (const std::string& pattern : patterns)
      grants += (grants.empty() ? "" : ",") + std::string(R"({"channels":")") + pattern +
                R"(","do":["subscribe","publish","presence","history"]})";
    auth::MintOptions options{.user = user, .secret = std::string(kTestSecret)};
    options.claims.push_back({"tidewire", R"({"grants":[)" + grants + "]}"});
    return R"({"type":"auth","token":")" + *auth::mint(options, shards_.now) + "\"}";
  }
  TestShards::Peer open_with(const std::string& user, const std::vector<std::string>& patterns) {
    const auto peer = shards_.open(TestShards::user(user));
    shards_.ask(peer, auth(user, patterns));
    return peer;
  }
  void reload(const std::vector<Namespace>& list) {
    if (shards_.namespaces.replace(list)) shards_.sessions().begin_reviews();
    shards_.sessions().pass_reviews();
    shards_.run();
  }
  static Namespace& named(std::vector<Namespace>& list, std::string_view name) {
    return *std::ranges::find(list, name, &Namespace::name);
  }

  TestShards shards_;
};

TEST_F(ReviewFlow, EndsWhatRestedOnAGrantThatTheNewTokenLacks) {
  const auto a = open_with("a", {"secret:*", "user:9"}), other = open_with("b", {"secret:*"});
  for (const auto* channel : {"secret:1", "user:9", "room:1"}) shards_.ask(a, of("subscribe", channel));
  const auto sent = shards_.ask(a, auth("a", {"secret:*"}));
  EXPECT_THAT(sent, ElementsAre(HasSubstr("auth_success"), revoked("user:9")));
  shards_.ask(other, of("publish", "user:9", R"(,"data":1)"));
  EXPECT_THAT(shards_.take(a), IsEmpty());
  EXPECT_EQ(shards_.code_of(a, of("subscribe", "user:9")), "forbidden");
  EXPECT_EQ(shards_.code_of(a, of("unsubscribe", "user:9")), "not_subscribed");
  shards_.ask(other, of("publish", "secret:1", R"(,"data":1)"));
  EXPECT_THAT(shards_.take(a), ElementsAre(HasSubstr("secret:1")));
  EXPECT_THAT(shards_.ask(a, auth("a")), ElementsAre(HasSubstr("auth_success"), revoked("secret:1")));
}

TEST_F(ReviewFlow, EndsOneThatIsStillBeginning) {
  const auto a = open_with("a", {"secret:*"});
  shards_.say(a, of("subscribe", "secret:1"));
  shards_.say(a, auth("a"));
  shards_.run();
  EXPECT_THAT(shards_.take(a),
              ElementsAre(HasSubstr("\"subscribed\""), HasSubstr("auth_success"), revoked("secret:1")));
  shards_.ask(open_with("b", {"secret:*"}), of("publish", "secret:1", R"(,"data":1)"));
  EXPECT_THAT(shards_.take(a), IsEmpty());
}

TEST_F(ReviewFlow, KeepsTheOwnInboxThatItFollowsWithoutAsking) {
  auto list = test_namespaces();
  named(list, "user").subscribe = Access::server;
  shards_.namespaces.replace(list);
  const auto a = shards_.open(TestShards::user("a"), 0, false);
  shards_.run();
  shards_.take(a);
  EXPECT_THAT(shards_.ask(a, auth("a")), ElementsAre(HasSubstr("auth_success")));
}

TEST_F(ReviewFlow, LetsAChannelsHomeDecideForItsOwners) {
  const auto owner = shards_.open(TestShards::user("a"));
  const auto support = open_with("s", {"session:*", "agent:*"});
  shards_.ask(owner, of("publish", "session:1", R"(,"event":"join")"));
  shards_.ask(owner, of("publish", "agent:1", R"(,"event":"start")"));
  for (const auto* channel : {"session:1", "agent:1"}) {
    shards_.ask(owner, of("subscribe", channel));
    shards_.ask(support, of("subscribe", channel));
  }
  EXPECT_THAT(shards_.ask(owner, auth("a")), ElementsAre(HasSubstr("auth_success")));
  EXPECT_THAT(shards_.ask(support, auth("s")),
              AllOf(Contains(revoked("session:1")), Contains(revoked("agent:1"))));
}

TEST_F(ReviewFlow, AMemberWhoLosesAGrantStaysUntilItLeaves) {
  const auto owner = shards_.open(TestShards::user("a")), b = open_with("b", {"session:*"});
  shards_.ask(owner, of("publish", "session:1", R"(,"event":"join")"));
  shards_.ask(owner, of("publish", "session:1", R"(,"event":"join","data":{"user":"b"})"));
  shards_.ask(b, of("subscribe", "session:1"));
  EXPECT_THAT(shards_.ask(b, auth("b")), ElementsAre(HasSubstr("auth_success")));
  EXPECT_THAT(shards_.ask(b, of("publish", "session:1", R"(,"event":"leave")")),
              Contains(revoked("session:1")));
}

TEST_F(ReviewFlow, TakesThePresenceAlong) {
  auto list = test_namespaces();
  named(list, "secret").presence = true;
  shards_.namespaces.replace(list);
  const auto a = open_with("a", {"secret:*"}), seer = open_with("b", {"secret:*"});
  shards_.ask(seer, of("subscribe", "secret:1", R"(,"presence":true)"));
  shards_.ask(a, of_presence("enter", "secret:1"));
  shards_.take(seer);
  shards_.ask(a, auth("a"));
  EXPECT_THAT(shards_.take(seer), ElementsAre(HasSubstr(R"("action":"leave")")));
  EXPECT_THAT(shards_.ask(a, of_presence("leave", "secret:1")), ElementsAre(HasSubstr(R"("members":[])")));
  EXPECT_EQ(shards_.code_of(a, of_presence("get", "secret:1")), "forbidden");
}

TEST_F(ReviewFlow, EndsWhatAReloadForbids) {
  const auto a = shards_.open(TestShards::user("a")), seer = open_with("b", {"room:*"});
  shards_.ask(seer, of("subscribe", "room:1", R"(,"presence":true)"));
  for (const auto* channel : {"room:1", "open:1", "tiny:1"}) shards_.ask(a, of("subscribe", channel));
  shards_.ask(a, of_presence("enter", "room:1"));
  shards_.take(seer);
  auto list = test_namespaces();
  reload(list);
  EXPECT_THAT(shards_.take(a), IsEmpty());
  named(list, "room").subscribe = Access::server;
  std::erase_if(list, [](const Namespace& ns) { return ns.name == "tiny"; });
  reload(list);
  EXPECT_THAT(shards_.take(a), ElementsAre(revoked("tiny:1"), revoked("room:1")));
  EXPECT_THAT(shards_.take(seer), ElementsAre(HasSubstr(R"("action":"leave")")));
}

TEST_F(ReviewFlow, LooksAtEverybodyInSlices) {
  std::vector<TestShards::Peer> peers;
  for (std::size_t i = 0; i < Sessions::kReviewSlice; ++i) {
    peers.push_back(shards_.open(nullptr));
    shards_.say(peers.back(), of("subscribe", "open:1"));
  }
  shards_.run();
  shards_.take(peers.front());
  shards_.take(peers.back());
  auto list = test_namespaces();
  named(list, "open").subscribe = Access::authenticated;
  reload(list);
  EXPECT_THAT(shards_.take(peers.front()), ElementsAre(revoked("open:1")));
  EXPECT_THAT(shards_.take(peers.back()), IsEmpty());
  shards_.sessions().pass_reviews();
  shards_.sessions().pass_reviews();
  EXPECT_THAT(shards_.take(peers.back()), ElementsAre(revoked("open:1")));
}

TEST_F(ReviewFlow, AnonymousPresenceBecomesTheUsers) {
  auto list = test_namespaces();
  named(list, "open").presence = true;
  shards_.namespaces.replace(list);
  const auto a = shards_.open(nullptr), seer = shards_.open(TestShards::user("b"));
  shards_.ask(seer, of("subscribe", "open:1", R"(,"presence":true)"));
  shards_.ask(a, of("subscribe", "open:1", R"(,"presence":true)"));
  shards_.ask(a, of_presence("enter", "open:1", R"(,"data":7)"));
  shards_.take(seer);
  EXPECT_THAT(
      shards_.ask(a, auth("a")),
      ElementsAre(HasSubstr("auth_success"),
                  AllOf(HasSubstr(R"({"type":"presence","channel":"open:1","members":[{"user":{"id":"a")"),
                        HasSubstr(R"("connections":1,"data":7)"), Not(HasSubstr("null")))))
      << "its own list, which no event changes";
  EXPECT_THAT(shards_.take(seer),
              ElementsAre(AllOf(HasSubstr(R"("action":"leave")"), HasSubstr(R"("user":null)")),
                          AllOf(HasSubstr(R"("action":"enter")"), HasSubstr(R"("id":"a")"))));
  EXPECT_THAT(shards_.ask(a, of_presence("enter", "open:1")),
              ElementsAre(AllOf(HasSubstr(R"("connections":1)"), Not(HasSubstr("null")))));
  EXPECT_THAT(shards_.ask(a, of_presence("leave", "open:1")), ElementsAre(HasSubstr(R"("members":[])")));
}

TEST_F(ReviewFlow, WhoLeavesASessionIsNoLongerThere) {
  auto list = test_namespaces();
  named(list, "session").presence = true;
  shards_.namespaces.replace(list);
  const auto owner = shards_.open(TestShards::user("a")), b = shards_.open(TestShards::user("b"));
  const auto support = open_with("s", {"session:*"});
  shards_.ask(owner, of("publish", "session:1", R"(,"event":"join")"));
  shards_.ask(owner, of("subscribe", "session:1", R"(,"presence":true)"));
  const std::string join_b = of("publish", "session:1", R"(,"event":"join","data":{"user":"b"})");
  for (const auto& leave :
       {std::pair(b, of("publish", "session:1", R"(,"event":"leave")")),
        std::pair(owner, of("publish", "session:1", R"(,"event":"leave","data":{"user":"b"})"))}) {
    shards_.ask(owner, join_b);
    shards_.ask(b, of_presence("enter", "session:1"));
    shards_.ask(support, of_presence("enter", "session:1"));
    shards_.take(owner);
    shards_.say(leave.first, leave.second);
    shards_.run();
    EXPECT_THAT(shards_.take(owner),
                Contains(AllOf(HasSubstr(R"("action":"leave")"), HasSubstr(R"("id":"b")"))));
    EXPECT_THAT(shards_.ask(owner, of_presence("get", "session:1")),
                ElementsAre(AllOf(HasSubstr(R"("id":"s")"), Not(HasSubstr(R"("id":"b")")))));
    shards_.take(b);
    EXPECT_THAT(shards_.ask(b, of_presence("leave", "session:1")), ElementsAre(HasSubstr(R"("members":[])")))
        << "which tells a stranger nothing";
    EXPECT_EQ(shards_.code_of(b, of_presence("get", "session:1")), "forbidden");
  }
}

TEST_F(ReviewFlow, AMemberStaysAReaderWhereAnEarlierSubscriptionEndsLate) {
  const auto owner = shards_.open(TestShards::user("a")), b = shards_.open(TestShards::user("b"));
  shards_.ask(owner, of("publish", "session:1", R"(,"event":"join")"));
  shards_.ask(owner, of("publish", "session:1", R"(,"event":"join","data":{"user":"b"})"));
  shards_.say(b, of("subscribe", "session:1"));
  shards_.say(b, of("unsubscribe", "session:1"));
  EXPECT_THAT(shards_.ask(b, of("subscribe", "session:1")), Contains(HasSubstr("\"subscribed\"")));
  shards_.ask(owner, of("publish", "session:1", R"(,"data":1)"));
  EXPECT_THAT(shards_.take(b), ElementsAre(HasSubstr("\"data\":1")));
  EXPECT_THAT(shards_.ask(b, of("subscribe", "user:b")), Contains(HasSubstr("\"pending\":[]")));
  shards_.ask(owner, of("publish", "session:1", R"(,"event":"leave","data":{"user":"b"})"));
  shards_.ask(owner, of("publish", "session:1", R"(,"data":"secret")"));
  EXPECT_THAT(shards_.take(b), ElementsAre(revoked("session:1")));
}

TEST_F(ReviewFlow, WhoIsRemovedGetsWhatCameBefore) {
  const auto owner = shards_.open(TestShards::user("a")), b = shards_.open(TestShards::user("b"));
  shards_.ask(owner, of("publish", "session:1", R"(,"event":"join")"));
  shards_.ask(owner, of("publish", "session:1", R"(,"event":"join","data":{"user":"b"})"));
  shards_.ask(b, of("subscribe", "session:1"));
  shards_.ask(owner, of("publish", "session:1", R"(,"event":"leave","data":{"user":"b"})"));
  EXPECT_THAT(shards_.take(b), ElementsAre(revoked("session:1")));
  EXPECT_EQ(shards_.at(b).hurried, shards_.at(b).dropped);
  EXPECT_EQ(shards_.at(b).hurried.size(), 1u);
}

TEST_F(ReviewFlow, SaysThatASubscriptionHasEndedBeforeItBeginsAgain) {
  auto list = test_namespaces();
  named(list, "session").open_join = true;
  shards_.namespaces.replace(list);
  const auto owner = shards_.open(TestShards::user("a")), b = shards_.open(TestShards::user("b"));
  for (const auto& peer : {owner, b}) shards_.ask(peer, of("publish", "session:1", R"(,"event":"join")"));
  shards_.ask(b, of("subscribe", "session:1"));
  shards_.say(b, of("publish", "session:1", R"(,"event":"leave")"));
  shards_.say(b, of("publish", "session:1", R"(,"event":"join")"));
  EXPECT_THAT(shards_.ask(b, of("subscribe", "session:1")),
              UnorderedElementsAre(HasSubstr("\"published\""), HasSubstr("\"published\""),
                                   revoked("session:1"), HasSubstr("\"subscribed\"")));
  EXPECT_EQ(shards_.code_of(b, of("unsubscribe", "session:1")), "taken");
}

TEST_F(ReviewFlow, LeavingNeedsNoRight) {
  const auto nobody = shards_.open(nullptr);
  EXPECT_THAT(shards_.ask(nobody, of_presence("leave", "room:1")), ElementsAre(HasSubstr(R"("members":[])")));
  EXPECT_EQ(shards_.code_of(nobody, of_presence("leave", "tiny:1")), "unauthorized") << "presence is off";
  EXPECT_EQ(shards_.code_of(nobody, of_presence("leave", "nope:1")), "not_found");
  EXPECT_EQ(shards_.code_of(nobody, of_presence("leave", "$all")), "forbidden");
}

}  // namespace
}  // namespace tidewire::hub
