#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using Sent = std::vector<std::string>;
using testing::ElementsAre;
using testing::HasSubstr;

// What an identity may use (protocol §2 `capabilities`).
const std::string kAll = R"(["messaging","presence","state","notifications","dashboard","uploads","agents"])";

TEST(SessionLife, BeginsWithConnected) {
  TestShards shards;
  shards.open(auth::IdentityPtr::make(auth::Identity{
      .user_id = "7", .id_is_number = true, .type = "creator", .expires_at_ms = shards.now.unix_ms + 5000}));
  EXPECT_THAT(
      shards.hello,
      ElementsAre(
          R"({"type":"connected","protocol":1,"connection_id":"c-0000000000000002","tenant":"default","authenticated":true,)"
          R"("user":{"id":7,"type":"creator"},"timestamp":1762907000000,"capabilities":)" +
          kAll +
          R"(,"heartbeat_ms":30000,)"
          R"("expires_at":1762907005000,"limits":{"message_bytes":1048576,"messages_per_minute":0,"burst":10,"channels":1000}})"));
}

TEST(SessionLife, TellsAnAnonymousConnectionWhatItMayUse) {
  TestShards shards(1, {.anonymous_capabilities = {"messaging"}});
  shards.open(nullptr);
  ASSERT_EQ(shards.hello.size(), 1u);
  EXPECT_THAT(shards.hello[0], HasSubstr(R"("authenticated":false,"user":null,)"));
  EXPECT_THAT(shards.hello[0], HasSubstr(R"("capabilities":["messaging"])"));
  EXPECT_EQ(shards.hello[0].find("expires_at"), std::string::npos);
}

TEST(SessionLife, AnswersNothingButPingAndAuthWhereAuthIsRequired) {
  TestShards shards(1, {.auth_required = true, .anonymous_capabilities = {"messaging"}});
  const auto peer = shards.open(nullptr);
  EXPECT_THAT(shards.hello[0], HasSubstr(R"("capabilities":[])"));
  EXPECT_EQ(shards.code_of(peer, R"({"type":"subscribe","channel":"open:1"})"), "unauthorized");
  EXPECT_EQ(shards.code_of(peer, R"({"type":"publish","channel":"room:"})"), "unauthorized");
  EXPECT_EQ(shards.code_of(peer, R"({"type":"unsubscribe","channel":"open:1"})"), "unauthorized");
  EXPECT_EQ(shards.code_of(peer, R"({"type":"ping"})"), "taken");
  EXPECT_EQ(shards.code_of(peer, R"({"type":"auth","token":")" + shards.token("a", 60'000) + "\"}"), "taken");
  EXPECT_EQ(shards.code_of(peer, R"({"type":"subscribe","channel":"open:1"})"), "taken");
}

TEST(SessionLife, EndsWhoDoesNotAuthenticateInTime) {
  TestShards shards(1, {.auth_required = true, .auth_timeout_ms = 10'000, .anonymous_capabilities = {}});
  const auto peer = shards.open(nullptr);
  EXPECT_EQ(shards.sessions().next_deadline_ms(peer.handle, shards.now), shards.now.mono_ms() + 10'000);
  shards.pass(9'999);
  shards.sessions().on_timer(peer.handle, shards.now);
  EXPECT_TRUE(shards.take(peer).empty());
  shards.pass(1);
  shards.sessions().on_timer(peer.handle, shards.now);
  EXPECT_THAT(shards.take(peer), ElementsAre(HasSubstr(R"({"type":"auth_error","code":"auth_timeout")")));
  EXPECT_EQ(shards.at(peer).closed, "1008 auth_timeout");
}

TEST(SessionLife, AsksWhoIsAnonymousToAuthenticateOnceAReloadSaysSo) {
  TestShards shards;
  const auto peer = shards.open(nullptr), known = shards.open(TestShards::user("a"));
  SessionOptions options;
  options.hash_seed = kTestSeed;
  options.auth_required = true;
  shards.sessions().reload(options, shards.now);
  EXPECT_EQ(shards.code_of(peer, R"({"type":"subscribe","channel":"open:1"})"), "unauthorized");
  EXPECT_EQ(shards.code_of(known, R"({"type":"subscribe","channel":"open:1"})"), "taken");
  EXPECT_EQ(shards.sessions().next_deadline_ms(peer.handle, shards.now), shards.now.mono_ms() + 10'000);
  options.auth_required = false;
  shards.sessions().reload(options, shards.now);
  EXPECT_EQ(shards.code_of(peer, R"({"type":"subscribe","channel":"open:1"})"), "taken");
  EXPECT_GT(shards.sessions().next_deadline_ms(peer.handle, shards.now), shards.now.mono_ms() + 10'000);
}

TEST(SessionLife, AuthenticatesLaterAndRenewsForTheSameUserOnly) {
  TestShards shards;
  const auto peer = shards.open(nullptr);
  EXPECT_THAT(shards.ask(peer, R"({"type":"auth","id":1,"token":")" + shards.token("a", 60'000) + "\"}"),
              ElementsAre(R"({"type":"auth_success","id":1,"user":{"id":"a","type":"user"},"capabilities":)" +
                          kAll + R"(,"expires_at":1762907060000})"));
  EXPECT_THAT(shards.ask(peer, R"({"type":"auth","id":2,"token":")" + shards.token("a", 90'000) + "\"}"),
              ElementsAre(HasSubstr(R"({"type":"auth_success","id":2)")));
  EXPECT_EQ(shards.code_of(peer, R"({"type":"auth","token":")" + shards.token("b", 60'000) + "\"}"),
            "user_mismatch");
  EXPECT_EQ(*shards.sessions().session(peer.handle)->identity->expires_at_ms, shards.now.unix_ms + 90'000)
      << "the old token stays";
}

TEST(SessionLife, CountsFailuresAndEndsAtTheThird) {
  TestShards shards;
  const auto peer = shards.open();
  EXPECT_THAT(shards.ask(peer, R"({"type":"auth","id":"x"})"),
              ElementsAre(HasSubstr(R"({"type":"auth_error","id":"x","code":"token_missing")")));
  EXPECT_EQ(shards.code_of(peer, R"({"type":"auth","token":"abc"})"), "token_malformed");
  EXPECT_EQ(shards.at(peer).closed, "");
  EXPECT_EQ(shards.code_of(peer, R"({"type":"auth","token":")" + shards.token("u", -1000) + "\"}"),
            "token_expired");
  EXPECT_EQ(shards.at(peer).closed, "1008 token_expired");
  EXPECT_TRUE(shards.ask(peer, R"({"type":"ping"})").empty()) << "nothing is taken after that";
}

TEST(SessionLife, ADryRunCarriesOutAnEleventhAuthAndReportsIt) {
  TenantLimits limits;
  limits.guard.dry_run = true;
  TestShards shards(1, {.anonymous_capabilities = {}}, limits);
  const auto peer = shards.open(nullptr);
  const std::string good = R"({"type":"auth","token":")" + shards.token("u", 60'000) + "\"}";
  for (int i = 0; i < 15; ++i) EXPECT_THAT(shards.ask(peer, good).front(), HasSubstr("auth_success"));
  EXPECT_EQ(shards.limits.dry_run().total(), 5u);
  for (int i = 0; i < 3; ++i) shards.ask(peer, R"({"type":"auth","token":"x"})");
  EXPECT_EQ(shards.at(peer).closed, "1008 token_malformed");
}

TEST(SessionLife, RefusesAnEleventhAuthWithinAMinute) {
  TestShards shards;
  const auto peer = shards.open();
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(
        shards.code_of(peer, R"({"type":"auth","token":")" + shards.token("u", 60'000 + i * 1000) + "\"}"),
        "taken");
  EXPECT_EQ(shards.code_of(peer, R"({"type":"auth","token":")" + shards.token("u", 60'000) + "\"}"),
            "rate_limited");
}

TEST(SessionLife, WarnsAMinuteBeforeTheTokenEndsAndThenEnds) {
  TestShards shards;
  const auto peer = shards.open(nullptr);
  shards.ask(peer, R"({"type":"auth","token":")" + shards.token("a", 100'000) + "\"}");
  EXPECT_EQ(shards.sessions().next_deadline_ms(peer.handle, shards.now), shards.now.mono_ms() + 40'000);
  shards.pass(40'000);
  shards.sessions().on_timer(peer.handle, shards.now);
  EXPECT_THAT(shards.take(peer), ElementsAre(R"({"type":"auth_expiring","expires_at":1762907100000})"));
  shards.sessions().on_timer(peer.handle, shards.now);
  EXPECT_TRUE(shards.take(peer).empty()) << "once";
  EXPECT_EQ(shards.sessions().next_deadline_ms(peer.handle, shards.now), shards.now.mono_ms() + 60'000);
  shards.pass(60'000);
  shards.sessions().on_timer(peer.handle, shards.now);
  EXPECT_THAT(shards.take(peer), ElementsAre(HasSubstr("token_expired")));
  EXPECT_EQ(shards.at(peer).closed, "1008 token_expired");
}

TEST(SessionLife, WarnsNoEarlierThanTheInboxIsFollowed) {
  TestShards shards;
  const auto peer = shards.open(nullptr, 0, false);
  shards.say(peer, R"({"type":"auth","token":")" + shards.token("a", 30'000) + "\"}");
  shards.sessions().on_timer(peer.handle, shards.now);
  shards.run();
  EXPECT_THAT(shards.take(peer),
              ElementsAre(HasSubstr("auth_success"), HasSubstr("user:a"), HasSubstr("auth_expiring")));
}

TEST(SessionLife, WarnsAnewAfterARenewal) {
  TestShards shards;
  const auto peer = shards.open(nullptr);
  shards.ask(peer, R"({"type":"auth","token":")" + shards.token("a", 30'000) + "\"}");
  shards.sessions().on_timer(peer.handle, shards.now);
  EXPECT_THAT(shards.take(peer), ElementsAre(HasSubstr("auth_expiring")))
      << "at once, since it lives shorter";
  shards.ask(peer, R"({"type":"auth","token":")" + shards.token("a", 50'000) + "\"}");
  shards.pass(40'000);
  shards.sessions().on_timer(peer.handle, shards.now);
  EXPECT_THAT(shards.take(peer), ElementsAre(HasSubstr("auth_expiring")));
  EXPECT_EQ(shards.at(peer).closed, "");
}

TEST(SessionLife, TakesNoMoreConnectionsOfAUserThanAllowed) {
  TenantLimits limits = TestShards::unlimited();
  limits.guard.connections_per_user = 1;
  TestShards shards(1, {}, limits);
  const auto first = shards.open(TestShards::user("a"));
  const auto second = shards.open(TestShards::user("a"));
  EXPECT_TRUE(shards.hello.empty()) << "no `connected`";
  EXPECT_EQ(shards.at(second).closed, "1008 connection_limit");
  const auto third = shards.open(nullptr);
  EXPECT_EQ(shards.code_of(third, R"({"type":"auth","token":")" + shards.token("a", 60'000) + "\"}"),
            "connection_limit");
  EXPECT_EQ(shards.at(third).closed, "") << "it stays anonymous";
  shards.close(second);
  shards.close(first);
  EXPECT_EQ(shards.code_of(third, R"({"type":"auth","token":")" + shards.token("a", 60'000) + "\"}"),
            "taken");
}

TEST(SessionLife, CountsTheConnectionsThatWereThereWhenALimitCame) {
  TestShards shards;
  const auto first = shards.open(TestShards::user("a"));
  const auto second = shards.open(TestShards::user("a"));
  shards.tenants[0].limits.guard.connections_per_user = 2;
  SessionOptions options;
  options.hash_seed = kTestSeed;
  for (int i = 0; i < 2; ++i) shards.sessions().reload(options, shards.now);
  const auto third = shards.open(TestShards::user("a"));
  EXPECT_EQ(shards.at(third).closed, "1008 connection_limit");
  shards.close(third);
  shards.close(first);
  const auto fourth = shards.open(TestShards::user("a"));
  EXPECT_EQ(shards.at(fourth).closed, "");
  shards.tenants[0].limits.guard.connections_per_user = 0;
  shards.close(fourth);
  shards.close(second);
  EXPECT_EQ(shards.limits.connections_of(guard::LimitKeys(1).user("default", "a")), 0);
}

TEST(SessionLife, EndsAtTheTwentiethMalformedMessageInAMinute) {
  TestShards shards;
  const auto peer = shards.open();
  for (int i = 0; i < 19; ++i) shards.ask(peer, "{");
  EXPECT_EQ(shards.at(peer).closed, "");
  EXPECT_THAT(shards.ask(peer, "{}"), ElementsAre(HasSubstr("invalid_message")));
  EXPECT_EQ(shards.at(peer).closed, "1008 invalid_message");
}

TEST(SessionLife, CountsBinaryAndTooLargeAsMalformed) {
  TestShards shards;
  const auto peer = shards.open();
  shards.sessions().on_malformed(peer.handle, ErrorCode::too_large, "big", shards.now);
  EXPECT_THAT(shards.take(peer), ElementsAre(R"({"type":"error","code":"too_large","message":"big"})"));
  EXPECT_EQ(shards.sessions().counts().malformed, 1u);
}

TEST(SessionLife, RefusesRequestsOverTheRateAndSaysHowLong) {
  TenantLimits limits;
  limits.guard.messages_per_minute = 60;
  limits.guard.burst = 2;
  TestShards shards(1, {}, limits);
  const auto peer = shards.open();
  const std::string publish = R"({"type":"publish","channel":"room:","id":1})";
  EXPECT_EQ(shards.code_of(peer, publish), "invalid_channel");
  EXPECT_EQ(shards.code_of(peer, publish), "invalid_channel");
  const auto refused = shards.ask(peer, publish);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_THAT(refused[0], HasSubstr(R"("request":"publish","channel":"room:","code":"rate_limited")"));
  EXPECT_THAT(refused[0], HasSubstr(R"("retry_after_ms":1000)"));
  EXPECT_EQ(shards.code_of(peer, R"({"type":"ping"})"), "taken") << "does not count";
  EXPECT_EQ(shards.code_of(peer, R"({"type":"unsubscribe","channel":"c"})"), "not_subscribed");
  EXPECT_EQ(shards.code_of(peer, R"({"type":"ack","channel":"room:1","up_to":1})"), "invalid_message");
}

TEST(SessionLife, LeavesNothingBehind) {
  TestShards shards(2);
  const auto peer = shards.open(TestShards::user("a"));
  for (ShardId home : {ShardId{0}, ShardId{1}}) {
    shards.ask(peer, R"({"type":"subscribe","channel":")" + shards.channel_at(home) + "\"}");
    shards.ask(peer, R"({"type":"presence","action":"enter","channel":")" + shards.channel_at(home) + "\"}");
  }
  shards.say(peer, R"({"type":"subscribe","channel":"tiny:1"})");  // its answer finds nobody
  EXPECT_EQ(shards.sessions().replicas(), 3u);
  EXPECT_EQ(shards.sessions().users(), 1u);
  shards.close(peer);
  shards.run();
  EXPECT_EQ(shards.sessions().replicas(), 0u);
  EXPECT_EQ(shards.sessions().users(), 0u);
  EXPECT_EQ(shards.sessions().counts().connections, 0u);
  EXPECT_EQ(shards.sessions().counts().subscriptions, 0u);
  shards.pass(Home::kIdleMs + 10'000);
  shards.tick();
  shards.tick();
  shards.pass(Home::kIdleMs);
  shards.tick();
  EXPECT_EQ(shards.home(0).size() + shards.home(1).size(), 0u);
  shards.close(peer);
}

TEST(SessionLife, TakesNothingFromAConnectionThatIsNotThere) {
  TestShards shards;
  const Handle nobody{77, 3};
  shards.sessions().on_text(nobody, "{}", shards.now);
  shards.sessions().on_malformed(nobody, ErrorCode::too_large, "x", shards.now);
  shards.sessions().on_drained(nobody, shards.now);
  shards.sessions().on_timer(nobody, shards.now);
  EXPECT_TRUE(shards.sessions().can_take(nobody));
  EXPECT_EQ(shards.sessions().next_deadline_ms(nobody, shards.now), std::numeric_limits<std::int64_t>::max());
  EXPECT_TRUE(shards.outbound()[nobody].sent.empty());
}

TEST(SessionLife, IsEndedByAnOperator) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a"));
  const auto b = shards.open(TestShards::user("b"));
  EXPECT_EQ(shards.sessions().answer(DisconnectUser{.tenant = 0, .user_id = "a"}, shards.now).count, 1u);
  EXPECT_EQ(shards.at(a).closed, "1000 disconnected");
  EXPECT_EQ(shards.at(b).closed, "");
  EXPECT_EQ(shards.sessions().answer(DisconnectUser{.tenant = 0, .user_id = "a"}, shards.now).count, 0u)
      << "once";
}

TEST(SessionLife, GetsWhatIsSentToAll) {
  TestShards shards;
  const auto a = shards.open(TestShards::user("a"));
  const auto b = shards.open(nullptr);
  shards.at(b).full = true;
  EXPECT_EQ(
      shards.sessions().answer(BroadcastAll{.tenant = 0, .json = SharedBytes("{\"x\":1}")}, shards.now).count,
      1u);
  EXPECT_THAT(shards.take(a), ElementsAre("{\"x\":1}"));
  EXPECT_TRUE(shards.take(b).empty());
}

}  // namespace
}  // namespace tidewire::hub
