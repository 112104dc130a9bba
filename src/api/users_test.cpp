#include "api/test_world.h"

namespace tidewire::api {
namespace {

using testing::HasSubstr;

TEST(User, ShowsConnectionsOfAllShardsAndTheIdAsTheTokenSpellsIt) {
  World world;
  world.connect(0, 7);
  world.connect(1, 7);
  world.connect(1, "bob");
  EXPECT_EQ(world.get("/api/v1/users/7").body,
            R"({"user":7,"online":2,"connections":[)"
            R"({"connection_id":"c-0000000000000001","connected_at":1762907034678,"health":"HEALTHY"},)"
            R"({"connection_id":"c-0000000000000002","connected_at":1762907034678,"health":"HEALTHY"}]})");
}

TEST(User, WhoIsOfflineHasNoConnections) {
  World world;
  EXPECT_EQ(world.get("/api/v1/users/7").body, R"({"user":"7","online":0,"connections":[]})");
  world.connect(0, "ann");
  EXPECT_THAT(world.get("/api/v1/users/ann", "tw_acme").body, HasSubstr(R"("online":0)"));
}

TEST(User, WithAnIdThatNobodyCanHaveIsRefused) {
  World world;
  for (const std::string id : {"a%20b", "%C3%A9", "%00"}) {
    EXPECT_EQ(world.get("/api/v1/users/" + id).status, 400) << id;
    EXPECT_EQ(world.post("/api/v1/users/" + id + "/disconnect", "").status, 400) << id;
    EXPECT_EQ(world.post("/api/v1/users/" + id + "/revoke", "").status, 400) << id;
  }
}

TEST(Disconnect, EndsAllConnectionsOfTheUser) {
  World world;
  const auto first = world.connect(0, "ann");
  const auto second = world.connect(1, "ann");
  const auto bob = world.connect(1, "bob");
  EXPECT_EQ(world.post("/api/v1/users/ann/disconnect", "").body, R"({"disconnected":2})");
  EXPECT_EQ(world.bag(first).closed, "1000 disconnected");
  EXPECT_EQ(world.bag(second).closed, "1000 disconnected");
  EXPECT_EQ(world.bag(bob).closed, "");
}

TEST(Revoke, EndsConnectionsOnceEveryShardHasIt) {
  std::function<void(Result<void>)> listed;
  Hooks hooks;
  World* built = nullptr;
  hooks.revoke = [&](hub::TenantId tenant, std::string_view user, std::int64_t before_ms, auto done) {
    EXPECT_EQ(tenant, 0);
    ASSERT_TRUE(built->revocations->add(
        {.tenant = "default", .user_id = std::string(user), .revoked_before_ms = before_ms}));
    listed = std::move(done);
  };
  World world({}, std::move(hooks));
  built = &world;
  const std::string old = world.token("ann");
  const auto ann = world.connect(1, "ann");
  const auto slot = world.start({"POST", "/api/v1/users/ann/revoke", "", {{"X-API-Key", "tw_all"}}});
  world.run();
  EXPECT_FALSE(slot->has_value());
  EXPECT_EQ(world.bag(ann).closed, "");
  listed({});
  world.run();
  ASSERT_TRUE(slot->has_value());
  EXPECT_EQ((*slot)->body, R"({"revoked_before":1762907034678,"disconnected":1})");
  EXPECT_EQ(world.bag(ann).closed, "1008 token_revoked");
  EXPECT_THAT(world.as(old, "GET", "/api/v1/channels/room:a/history").body,
              HasSubstr(R"("code":"token_revoked")"));
}

TEST(Revoke, PassesOnThatAListIsFull) {
  Hooks hooks;
  hooks.revoke = [](auto, auto, auto, auto done) { done(fail(ErrorCode::unavailable, "the list is full")); };
  World world({}, std::move(hooks));
  EXPECT_EQ(world.post("/api/v1/users/ann/revoke", "").status, 503);
  World without;
  EXPECT_EQ(without.post("/api/v1/users/ann/revoke", "").status, 503);
}

TEST(ConnectionHealth, IsTheCallersOwn) {
  World world;
  world.connect(1, "ann");
  world.connect(0, "bob");
  EXPECT_EQ(world.as(world.token("ann"), "GET", "/api/v1/websocket/connection-health").body,
            R"({"connections":[{"connection_id":"c-0000000000000001","score":1,"status":"HEALTHY",)"
            R"("latency_ms":null,"error_rate":0,"activity":1}]})");
  EXPECT_EQ(world.as(world.token("ann"), "GET", "/api/v1/websocket/connection-health?user=bob").status, 403);
  EXPECT_EQ(world.as(world.token("ann"), "GET", "/api/v1/websocket/connection-health?user=ann").status, 200);
}

TEST(ConnectionHealth, WithAnApiKeyNeedsAUser) {
  World world;
  world.connect(1, "ann");
  world.round_trip_us = 250'500;
  EXPECT_EQ(world.get("/api/v1/websocket/connection-health").status, 400);
  EXPECT_EQ(world.get("/api/v1/websocket/connection-health?user=a%20b").status, 400);
  EXPECT_THAT(world.get("/api/v1/websocket/connection-health?user=ann").body,
              HasSubstr(R"("score":0.875,"status":"HEALTHY","latency_ms":250.5)"));
  EXPECT_EQ(world.get("/api/v1/websocket/connection-health?user=nobody").body, R"({"connections":[]})");
}

}  // namespace
}  // namespace tidewire::api
