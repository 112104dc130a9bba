#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "api/test_world.h"
#include "telemetry/metrics.h"

namespace tidewire::api {
namespace {

using testing::HasSubstr;

TEST(Probes, AreOpenAndReadinessEndsWithADrain) {
  bool draining = false;
  Hooks hooks;
  hooks.health = [&] { return Health{.draining = draining, .components = {}}; };
  World world({}, std::move(hooks));
  EXPECT_EQ(world.send({.target = "/healthz"}).status, 200);
  EXPECT_EQ(world.send({.target = "/readyz"}).status, 200);
  draining = true;
  EXPECT_EQ(world.send({.target = "/healthz"}).status, 200);
  const Answer answer = world.send({.target = "/readyz"});
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr(R"("code":"unavailable")"));
}

TEST(PublicHealth, SaysNoMoreThanTheVersion) {
  World world;
  EXPECT_EQ(world.send({.target = "/api/ws/health"}).body, R"({"status":"ok","version":"1.2.3"})");
}

TEST(DetailedHealth, NamesEveryComponentAlsoThoseThatAreOff) {
  Hooks hooks;
  hooks.health = [] {
    return Health{
        .draining = false,
        .components = {
            {.name = "listener", .state = ComponentState::ok, .latency_ms = 0.25, .detail = {}},
            {.name = "store", .state = ComponentState::failed, .latency_ms = {}, .detail = "read-only"}}};
  };
  World world({}, std::move(hooks));
  world.now.mono_us += 5'500'000;
  EXPECT_EQ(
      world.get("/api/health/detailed").body,
      R"({"status":"failed","version":"1.2.3","uptime_s":5,"components":{)"
      R"("listener":{"state":"ok","latency_ms":0.25},)"
      R"("store":{"state":"failed","latency_ms":null,"detail":"read-only"},)"
      R"("engine":{"state":"off","latency_ms":null},"directory":{"state":"off","latency_ms":null},)"
      R"("webhooks":{"state":"off","latency_ms":null},"circuits":{"state":"off","latency_ms":null}},"circuits":{},)"
      R"("overload":{"state":"ok","step":"calm","pressure":0,"publish_share":1,"refused_connections":0,"shed_publishes":0}})");
}

TEST(DetailedHealth, ShowsEachCircuit) {
  Hooks hooks;
  hooks.circuits = [](std::int64_t) {
    return CircuitReport{.circuits = {{.name = "directory",
                                       .state = guard::CircuitState::half_open,
                                       .since_unix_ms = 17,
                                       .opened = 2},
                                      {.name = "jwks"}},
                         .history = {}};
  };
  World world({}, std::move(hooks));
  EXPECT_THAT(world.get("/api/health/detailed").body,
              testing::HasSubstr(R"("circuits":{"directory":{"state":"half_open","since":17,"opened":2},)"
                                 R"("jwks":{"state":"closed","since":null,"opened":0}})"));
}

TEST(Stats, CountEveryUserOnceAndGiveRates) {
  World world;
  const auto ann = world.connect(0, "ann");
  world.connect(1, "ann");
  world.connect(1, "bob");
  world.connect(0, std::nullopt);
  world.now.mono_us += 10'000'000;
  for (int i = 0; i < 20; ++i) world.say(ann, R"({"type":"ping"})");
  world.say(ann, R"({"type":"subscribe","channel":"room:a"})");
  EXPECT_EQ(world.get("/api/ws/stats").body,
            R"({"connections":4,"users":2,"channels":3,"messages_in":21,"messages_out":0,)"
            R"("rates":{"messages_in":2.1,"messages_out":0,"bytes_in":0,"bytes_out":0},"uptime_s":10})");
}

TEST(Stats, AreTheTenantsOwn) {
  World world;
  const auto ann = world.connect(0, "ann");
  world.connect(1, "ann", 1);
  world.now.mono_us += 10'000'000;
  for (int i = 0; i < 20; ++i) world.say(ann, R"({"type":"ping"})");
  EXPECT_EQ(world.get("/api/ws/stats", "tw_acme").body,
            R"({"connections":1,"users":1,"channels":1,"messages_in":0,"messages_out":0,)"
            R"("rates":{"messages_in":0,"messages_out":0,"bytes_in":0,"bytes_out":0},"uptime_s":10})");
  EXPECT_THAT(world.get("/api/ws/stats").body, HasSubstr(R"("messages_in":20,)"));
}

TEST(Metrics, AreForKeysOfTheWholeServerWhereTheyAreNotPublic) {
  Options options;
  options.metrics_public = false;
  World world(std::move(options));
  EXPECT_EQ(world.get("/metrics", "tw_read").status, 200);
  EXPECT_EQ(world.get("/metrics", "tw_acme").status, 403);
}

TEST(Stats, RatesFallAgainWhenNothingComes) {
  World world;
  const auto ann = world.connect(0, "ann");
  for (int i = 0; i < 20; ++i) world.say(ann, R"({"type":"ping"})");
  for (int i = 0; i < 3; ++i) {
    world.now.mono_us += Rates::kSpacing_us;
    world.router->tick(world.now);
    world.run();
  }
  EXPECT_THAT(world.get("/api/ws/stats").body, HasSubstr(R"("rates":{"messages_in":0,)"));
}

TEST(Metrics, PassPromtool) {
  if (std::system("command -v promtool > /dev/null") != 0) GTEST_SKIP() << "promtool is not installed";
  World world;
  world.say(world.connect(0, "ann"), R"({"type":"subscribe","channel":"room:a"})");
  const Answer answer = world.send({.target = "/metrics"});
  EXPECT_EQ(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(answer.body, HasSubstr("\ntidewire_connections 1\n"));
  EXPECT_THAT(answer.body, HasSubstr("tidewire_requests_total{type=\"subscribe\"} 1\n"));
  std::FILE* promtool = popen("promtool check metrics", "w");
  ASSERT_NE(promtool, nullptr);
  std::fwrite(answer.body.data(), 1, answer.body.size(), promtool);
  EXPECT_EQ(pclose(promtool), 0) << answer.body;
}

TEST(Metrics, CountHttpRequestsByRouteAndClassOfStatus) {
  Hooks hooks;
  World* asked = nullptr;
  hooks.clock_us = [&] { return asked->now.mono_us + 3000; };
  World world({}, std::move(hooks));
  asked = &world;
  world.post("/api/v1/publish", R"({"channel":"room:a"})");
  world.post("/api/v1/publish", R"({"channel":"room:a"})");
  world.post("/api/v1/publish", "{");
  world.post("/api/v1/users/ann/notify", "{}", "tw_read");
  world.get("/nope");
  world.get("/api/v1/publish");
  world.get("/admin/");
  world.get("/healthz");
  const auto body_too_large = World::request_of(
      {.method = "POST", .target = "/api/v1/broadcast", .body = std::string(2'000'000, ' ')});
  EXPECT_TRUE(world.router->refuse_by_head(body_too_large, world.client, world.now));
  const std::string text = world.send({.target = "/metrics"}).body;
  const auto counted = [&](std::string_view route, std::string_view status, int count) {
    EXPECT_THAT(text,
                HasSubstr(fmt::format("\ntidewire_http_requests_total{{route=\"{}\",status=\"{}\"}} {}\n",
                                      route, status, count)));
  };
  counted("/api/v1/publish", "2xx", 2);
  counted("/api/v1/publish", "4xx", 1);
  counted("/api/v1/users/{}/notify", "4xx", 1);
  counted("/api/v1/broadcast", "4xx", 1);
  counted("/healthz", "2xx", 1);
  counted("/metrics", "2xx", 0);
  counted("other", "4xx", 3);
  EXPECT_THAT(text, HasSubstr("tidewire_http_request_duration_seconds_count 5\n"));
  EXPECT_THAT(text, HasSubstr("tidewire_http_request_duration_seconds_bucket{le=\"0.001\"} 0\n"));
}

TEST(Metrics, TakeInWhatTheServerMeasures) {
  Hooks hooks;
  hooks.add_metrics = [](telemetry::Snapshot& out) { out.gauge("tidewire_test_things", "Things.", 3); };
  World world({}, std::move(hooks));
  EXPECT_THAT(world.send({.target = "/metrics"}).body, HasSubstr("\ntidewire_test_things 3\n"));
}

TEST(Metrics, NeedAKeyWhenTheyAreNotPublic) {
  World world({.keys = {}, .allowed_origins = {}, .metrics_public = false, .demo_secret = {}, .version = {}});
  EXPECT_EQ(world.send({.target = "/metrics"}).status, 403);
  EXPECT_EQ(world.get("/metrics", "tw_publish").status, 403);
  EXPECT_EQ(world.get("/metrics", "tw_read").status, 200);
}

}  // namespace
}  // namespace tidewire::api
