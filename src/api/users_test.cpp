#include <fmt/format.h>

#include "api/test_world.h"

namespace tidewire::api {
namespace {

using testing::HasSubstr;
using testing::Not;

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

TEST(Connections, AreListedForAdministratorsOfTheirTenant) {
  World world;
  world.connect(0, 7);
  world.connect(1, "bob");
  EXPECT_EQ(
      world.get("/api/admin/connections").body,
      R"({"connections":[)"
      R"({"connection_id":"c-0000000000000001","user":7,"connected_at":1762907034678},)"
      R"({"connection_id":"c-0000000000000002","user":"bob","connected_at":1762907034678}],"next":null})");
  EXPECT_EQ(world.get("/api/admin/connections", "tw_acme").body, R"({"connections":[],"next":null})");
  world.connect(0, std::nullopt);
  EXPECT_THAT(world.get("/api/admin/connections").body, HasSubstr(R"("user":null)"));
  EXPECT_EQ(world.get("/api/admin/connections", "tw_read").status, 403);
  const std::string one = world.get("/api/admin/connections?limit=1").body;
  EXPECT_THAT(one, HasSubstr("c-"));
  EXPECT_THAT(one, Not(HasSubstr("},{")));
  EXPECT_EQ(world.get("/api/admin/connections?limit=0").status, 400);
}

TEST(Connections, AreListedPageByPageOverAllShardsWithNoneTwice) {
  World world;
  for (int i = 0; i < 25; ++i) world.connect(static_cast<hub::ShardId>(i % 2), i);
  std::string names, cursor;
  int pages = 0;
  do {
    const std::string body = world.get("/api/admin/connections?limit=10&cursor=" + cursor).body;
    for (std::size_t at = 0; (at = body.find("\"c-", at)) != std::string::npos; at += 20)
      names += body.substr(at + 1, 18) + ' ';
    const std::size_t next = body.find(R"("next":")");
    cursor = next == std::string::npos ? "" : body.substr(next + 8, body.size() - next - 10);
    ++pages;
  } while (!cursor.empty() && pages < 10);
  std::string expected;
  for (int i = 1; i <= 25; ++i) expected += fmt::format("c-{:016x} ", i);
  EXPECT_EQ(names, expected);
  EXPECT_EQ(pages, 3);
  for (const std::string wrong : {"%21", "AAAA", "MSBjLQ", "eCBjLTE", "MSBjLXo"})
    EXPECT_EQ(world.get("/api/admin/connections?cursor=" + wrong).status, 400) << wrong;
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
    built->revocations->add(
        {.tenant = "default", .user_id = std::string(user), .revoked_before_ms = before_ms});
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

// Asks a directory that answers when the test says so.
struct Asked {
  std::vector<std::string> users;
  Hooks hooks() {
    Hooks hooks;
    hooks.ask_user = [this](hub::TenantId, const std::string& user) { users.push_back(user); };
    return hooks;
  }
  static void answer(World& world, std::string_view user, guard::UserState state) {
    world.router->user_answered(world.now, world.shared.keys.user("default", user), state);
    world.run();
  }
};

TEST(UserDirectory, DecidesWhetherAUserCanBeNotified) {
  Asked asked;
  World world({}, asked.hooks(), World::Directory::asked);
  const auto notify = [&](const std::string& user) {
    return world.start({.method = "POST",
                        .target = "/api/v1/users/" + user + "/notify",
                        .body = R"({"data":1})",
                        .fields = {{"Authorization", "Bearer tw_all"}}});
  };
  const auto ann = notify("ann");
  const auto ghost = notify("ghost");
  const auto away = notify("away");
  EXPECT_FALSE(ann->has_value());
  EXPECT_EQ(world.calls->waiting(), 3u);
  EXPECT_THAT(asked.users, testing::ElementsAre("ann", "ghost", "away"));
  Asked::answer(world, "ghost", guard::UserState::absent);
  Asked::answer(world, "ann", guard::UserState::exists);
  Asked::answer(world, "away", guard::UserState::unavailable);
  ASSERT_TRUE(ann->has_value() && ghost->has_value() && away->has_value());
  EXPECT_EQ((*ann)->status, 200);
  EXPECT_EQ((*ghost)->status, 404);
  EXPECT_THAT((*ghost)->body, HasSubstr(R"("code":"user_not_found")"));
  EXPECT_EQ((*away)->status, 503);
  EXPECT_EQ((*away)->field("Retry-After"), "5");
  EXPECT_EQ(world.calls->waiting(), 0u);
}

TEST(UserDirectory, IsAskedOnceForAllThatIsPublishedToAnInboxMeanwhile) {
  Asked asked;
  World world({}, asked.hooks(), World::Directory::asked);
  const std::string entry = R"({"channel":"user:ann","data":1})";
  const std::string ghosts = R"({"channel":"user:ghost","data":1})";
  const auto batch = world.start({.method = "POST",
                                  .target = "/api/v1/batch",
                                  .body = R"({"publish":[)" + entry + "," + ghosts + "," + entry + "]}",
                                  .fields = {{"Authorization", "Bearer tw_all"}}});
  EXPECT_THAT(asked.users, testing::ElementsAre("ann", "ghost"));
  Asked::answer(world, "ann", guard::UserState::exists);
  EXPECT_FALSE(batch->has_value());
  Asked::answer(world, "ghost", guard::UserState::absent);
  ASSERT_TRUE(batch->has_value());
  EXPECT_THAT((*batch)->body, testing::AllOf(HasSubstr(R"("seq":1)"), HasSubstr(R"("seq":2)"),
                                             HasSubstr(R"("code":"user_not_found")")));
  // What is no inbox is nobody's.
  EXPECT_EQ(world.post("/api/v1/publish", R"({"channel":"room:ghost","data":1})").status, 200);
}

TEST(UserDirectory, WhatWaitsForItIsBounded) {
  Asked asked;
  World world({}, asked.hooks(), World::Directory::asked);
  const std::string body(std::size_t{900} << 10, 'x');
  std::size_t refused = 0;
  for (int i = 0; i < 50; ++i) {
    const auto answer = world.start({.method = "POST",
                                     .target = "/api/v1/publish",
                                     .body = R"({"channel":"user:ann","data":")" + body + "\"}",
                                     .fields = {{"Authorization", "Bearer tw_all"}}});
    if (!answer->has_value()) continue;
    EXPECT_EQ((*answer)->status, 503);
    ++refused;
  }
  EXPECT_GT(refused, 0u);
  EXPECT_LE(world.calls->waiting() * body.size(), hub::Calls::kWaitingBytesMax);
}

TEST(UserDirectory, AgreesOnWhoCanBeLookedUpAndWhoMayCall) {
  Asked asked;
  World world({}, asked.hooks(), World::Directory::asked);
  world.known_users.put(world.shared.keys.user("default", "ann"), guard::UserState::exists,
                        world.now.mono_ms());
  world.known_users.put(world.shared.keys.user("default", "ghost"), guard::UserState::absent,
                        world.now.mono_ms());
  EXPECT_EQ(world.get("/api/v1/users/ann").status, 200);
  EXPECT_EQ(world.get("/api/v1/users/ghost").status, 404);
  EXPECT_EQ(world.get("/api/v1/websocket/connection-health?user=ghost").status, 404);
  const auto own = [&](const std::string& user) {
    return world.as(world.token(user), "GET", "/api/v1/websocket/connection-health");
  };
  EXPECT_EQ(own("ann").status, 200);
  const Answer refused = own("ghost");
  EXPECT_EQ(refused.status, 401);
  EXPECT_THAT(refused.body, HasSubstr(R"("code":"user_not_found")"));
  EXPECT_TRUE(asked.users.empty());
  // Whoever is gone can still be disconnected, and revoked where that is possible.
  EXPECT_EQ(world.post("/api/v1/users/ghost/disconnect", "").status, 200);
}

}  // namespace
}  // namespace tidewire::api
