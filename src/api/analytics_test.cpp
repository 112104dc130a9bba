#include "api/test_world.h"

namespace tidewire::api {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kPath = "/api/admin/websocket-analytics";

TEST(Analytics, ShowWhatTheShardsSaw) {
  World world;
  const auto ann = world.connect(0, "ann");
  const auto bob = world.connect(1, "bob");
  world.connect(1, std::nullopt);
  for (int i = 0; i < 3; ++i) world.say(ann, R"({"type":"ping"})");
  world.say(bob, R"({"type":"subscribe","channel":"room:a"})");
  const Answer answer = world.get(kPath);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("connections":{"open":3,)"));
  EXPECT_THAT(answer.body, HasSubstr(R"("health":{"HEALTHY":3,"DEGRADED":0,"UNHEALTHY":0})"));
  EXPECT_THAT(answer.body, HasSubstr(R"({"user":"ann","messages":3,"messages_error":0,"bytes":45})"));
  EXPECT_THAT(answer.body, HasSubstr(R"("anomalies":[],"circuits":[])"));
  EXPECT_THAT(answer.body, HasSubstr(R"("overload":{"state":"ok","step":"calm")"));
}

TEST(Analytics, TakeInAnomaliesAndCircuitsOfOthers) {
  Hooks hooks;
  hooks.circuits = [](std::int64_t) {
    using enum guard::CircuitState;
    return CircuitReport{.circuits = {{.name = "directory", .state = open}, {.name = "jwks"}},
                         .history = {{.circuit = "directory", .transition = {closed, open}, .unix_ms = 7}}};
  };
  World world({}, std::move(hooks));
  const auto note = [&](std::int64_t unix_ms, std::string user, std::uint16_t tenant) {
    world.limits.anomalies().report({.unix_ms = unix_ms,
                                     .tenant = tenant,
                                     .user = std::move(user),
                                     .score = 4.5,
                                     .evidence = "900 messages where 20 are usual"});
  };
  note(kUnixMs - 60'001, "before", 0);
  note(kUnixMs - 5, "ann", 0);
  note(kUnixMs - 4, "zoe", 1);
  const Answer answer = world.get(std::string(kPath) + "?window=60s");
  EXPECT_THAT(answer.body, HasSubstr(R"("anomalies":[{"at":)" + std::to_string(kUnixMs - 5) +
                                     R"(,"kind":"burst","user":"ann","score":4.5,)"
                                     R"("evidence":"900 messages where 20 are usual","action":"report"}])"));
  EXPECT_THAT(answer.body, HasSubstr(R"("circuits":[{"name":"directory","state":"open",)"
                                     R"("history":[{"at":7,"from":"closed","to":"open"}]},)"
                                     R"({"name":"jwks","state":"closed","history":[]}])"));
}

TEST(Analytics, KeepTenantsApart) {
  World world;
  world.say(world.connect(0, "ann"), R"({"type":"ping"})");
  world.say(world.connect(1, "zoe", 1), R"({"type":"ping"})");
  EXPECT_THAT(world.get(kPath).body, Not(HasSubstr("zoe")));
  EXPECT_THAT(world.get(kPath, "tw_acme").body, HasSubstr("zoe"));
  EXPECT_THAT(world.get(kPath, "tw_acme").body, Not(HasSubstr("ann")));
}

TEST(Analytics, CountTheTenantsTrafficAlone) {
  World world;
  const auto ann = world.connect(0, "ann");
  for (int i = 0; i < 5; ++i) world.say(ann, R"({"type":"ping"})");
  world.say(world.connect(1, "zoe", 1), "{");
  const std::string acme = world.get(kPath, "tw_acme").body, ours = world.get(kPath).body;
  EXPECT_THAT(acme, HasSubstr(R"("connections":{"open":1,"opened":1,"users":1})"));
  EXPECT_THAT(acme, HasSubstr(R"("traffic":{"messages_in":1,)"));
  EXPECT_THAT(acme, HasSubstr(R"("refusals":{"malformed":1,)"));
  EXPECT_THAT(acme, HasSubstr(R"("health":{"HEALTHY":1,)"));
  EXPECT_THAT(ours, HasSubstr(R"("traffic":{"messages_in":5,)"));
  EXPECT_THAT(ours, HasSubstr(R"("refusals":{"malformed":0,)"));
}

TEST(Analytics, CountPublishesOverHttpByType) {
  World world;
  world.post("/api/v1/publish", R"({"channel":"room:a"})");
  world.post("/api/v1/publish", "{");
  world.post("/api/v1/batch", R"({"publish":[{"channel":"room:a"},{"channel":"room:b"},{}]})");
  world.post("/api/v1/users/ann/notify", "{}");
  world.post("/api/v1/broadcast", "{}");
  world.post("/api/v1/publish", R"({"channel":"room:a"})", "tw_acme");
  const std::string ours = world.get(kPath).body;
  EXPECT_THAT(ours, HasSubstr(R"("publish":6,)"));
  EXPECT_THAT(ours, HasSubstr(R"("http":{"count":6,)"));
  EXPECT_THAT(world.get(kPath, "tw_acme").body, HasSubstr(R"("publish":1,)"));
}

TEST(Analytics, OthersSurgesAndKeySetsAreNotSeen) {
  Hooks hooks;
  hooks.circuits = [](std::int64_t) {
    return CircuitReport{
        .circuits = {{.name = "directory"}, {.name = "jwks"}, {.name = "jwks.acme"}, {.name = "jwks.rival"}},
        .history = {{.circuit = "jwks.rival", .transition = {}, .unix_ms = 7}}};
  };
  World world({}, std::move(hooks));
  world.limits.anomalies().report({.unix_ms = kUnixMs, .tenant = 0, .population = true, .evidence = "surge"});
  for (const char* path : {kPath, "/api/health/detailed"}) {
    const std::string acme = world.get(path, "tw_acme").body;
    EXPECT_THAT(acme, Not(HasSubstr("rival"))) << path;
    EXPECT_THAT(acme, Not(HasSubstr("surge"))) << path;
    EXPECT_THAT(acme, HasSubstr("jwks.acme")) << path;
    EXPECT_THAT(world.get(path).body, HasSubstr("jwks.rival")) << path;
  }
  EXPECT_THAT(world.get(kPath).body, HasSubstr("surge"));
}

TEST(Analytics, RefuseAWindowThatIsNone) {
  World world;
  for (const char* window : {"", "5", "m", "-5m", "0m", "5x", "5mm", "99999999999999999999m"})
    EXPECT_EQ(world.get(std::string(kPath) + "?window=" + window).status, 400) << window;
  for (const char* window : {"1s", "5m", "24h"})
    EXPECT_EQ(world.get(std::string(kPath) + "?window=" + window).status, 200) << window;
  EXPECT_EQ(world.get(kPath, "tw_read").status, 403);
}

}  // namespace
}  // namespace tidewire::api
