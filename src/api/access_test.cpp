#include "api/test_world.h"
#include "auth/test_signer.h"

namespace tidewire::api {
namespace {

using testing::HasSubstr;

const std::string kMessage = R"({"channel":"room:a","data":1})";

TEST(ApiKeys, ComeAsABearerOrInTheirOwnField) {
  World world;
  EXPECT_EQ(world.as("tw_all", "GET", "/api/v1/channels").status, 200);
  EXPECT_EQ(world.get("/api/v1/channels", "tw_all").status, 200);
  EXPECT_EQ(
      world.send({.target = "/api/v1/channels", .fields = {{"authorization", "bearer tw_read"}}}).status,
      200);
}

TEST(ApiKeys, AreRefusedWithoutTheScope) {
  World world;
  EXPECT_EQ(world.get("/api/v1/channels", "tw_publish").status, 403);
  EXPECT_EQ(world.post("/api/v1/publish", kMessage, "tw_read").status, 403);
  EXPECT_EQ(world.post("/api/v1/publish", kMessage, "tw_publish").status, 200);
  EXPECT_EQ(world.post("/api/v1/users/ann/disconnect", "", "tw_read").status, 403);
  EXPECT_EQ(world.post("/api/v1/users/ann/disconnect", "", "tw_publish").status, 403);
}

TEST(ApiKeys, AreRefusedWhenUnknown) {
  World world;
  for (const std::string key : {"tw_al", "tw_all ", "tw_", "", "x"})
    EXPECT_EQ(world.get("/api/v1/channels", key).status, 403) << key;
  EXPECT_EQ(world.as("tw_nobody", "POST", "/api/v1/publish", kMessage).status, 403);
  EXPECT_THAT(world.get("/api/v1/channels", "tw_nobody").body, HasSubstr(R"("code":"forbidden")"));
}

TEST(ApiKeys, AreNeededWhereAUsersTokenDoesNotSuffice) {
  World world;
  const std::string token = world.token("ann");
  for (const std::string target : {"/api/v1/channels", "/api/v1/channels/room:a", "/api/v1/users/ann",
                                   "/api/ws/stats", "/api/health/detailed"}) {
    EXPECT_EQ(world.as(token, "GET", target).status, 403) << target;
    EXPECT_EQ(world.send({.target = target}).status, 403) << target;
  }
  EXPECT_EQ(world.as(token, "POST", "/api/v1/batch", "{}").status, 403);
  EXPECT_EQ(world.as(token, "POST", "/api/v1/users/ann/revoke", "").status, 403);
}

TEST(ApiKeys, SeeTheirTenantOnly) {
  World world;
  world.post("/api/v1/publish", kMessage, "tw_all");
  EXPECT_THAT(world.get("/api/v1/channels", "tw_all").body, HasSubstr("room:a"));
  EXPECT_EQ(world.get("/api/v1/channels", "tw_acme").body, R"({"channels":[],"next":null})");
  EXPECT_EQ(world.get("/api/v1/channels/room:a", "tw_acme").status, 404);
}

TEST(ApiKeys, ChangeWithAReload) {
  World world;
  world.router->reload({.keys = {{"tw_new"}}, .allowed_origins = {}, .demo_secret = {}, .version = {}});
  EXPECT_EQ(world.get("/api/v1/channels", "tw_all").status, 403);
  EXPECT_EQ(world.get("/api/v1/channels", "tw_new").status, 200);
}

TEST(UserTokens, AreJudgedByTheVerifier) {
  World world;
  const auto publish = [&](const std::string& token) {
    return world.as(token, "POST", "/api/v1/publish", kMessage);
  };
  EXPECT_EQ(publish(world.token("ann")).status, 200);
  const Answer forged = publish(world.token("ann", {}, "another secret"));
  EXPECT_EQ(forged.status, 401);
  EXPECT_THAT(forged.body, HasSubstr(R"("code":"token_invalid")"));
  EXPECT_EQ(forged.field("WWW-Authenticate"), "Bearer");
  EXPECT_THAT(publish("nonsense").body, HasSubstr(R"("code":"token_malformed")"));
  EXPECT_THAT(publish("").body, HasSubstr(R"("code":"token_missing")"));
  const std::string old = world.token("ann");
  world.now.unix_ms += 3'700'000;
  EXPECT_THAT(publish(old).body, HasSubstr(R"("code":"token_expired")"));
}

TEST(UserTokens, AreAskedForWhereNothingIsBrought) {
  World world;
  const Answer answer = world.send({"POST", "/api/v1/publish", kMessage});
  EXPECT_EQ(answer.status, 401);
  EXPECT_THAT(answer.body, HasSubstr(R"("code":"unauthorized")"));
  EXPECT_EQ(world.send({"POST", "/api/v1/publish", kMessage, {{"Authorization", "Basic dHc6"}}}).status, 401);
}

TEST(UserTokens, BelongToTheTenantThatTheServerFinds) {
  Hooks hooks;
  hooks.find_tenant = [](std::string_view host, std::string_view) {
    EXPECT_EQ(host, "tide.example");
    return hub::TenantId{1};
  };
  World world({}, std::move(hooks));
  EXPECT_EQ(world.as(world.token("ann"), "POST", "/api/v1/publish", kMessage).status, 401);
  EXPECT_EQ(
      world.as(world.token("ann", {}, "the secret of acme"), "POST", "/api/v1/publish", kMessage).status,
      200);
  EXPECT_EQ(world.get("/api/v1/channels/room:a", "tw_acme").status, 200);
  EXPECT_EQ(world.get("/api/v1/channels/room:a", "tw_all").status, 404);
}

TEST(UserTokens, OfABlockedAddressAreNotLookedAtButAnApiKeyIs) {
  World world;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(world.as("bad", "POST", "/api/v1/publish", kMessage).status, 401);
  const Answer blocked = world.as(world.token("ann"), "POST", "/api/v1/publish", kMessage);
  EXPECT_EQ(blocked.status, 429);
  EXPECT_EQ(blocked.field("Retry-After"), "60");
  EXPECT_THAT(
      blocked.body,
      HasSubstr(
          R"("code":"rate_limited","detail":"Too many failed connection attempts","retry_after_ms":60000)"));
  EXPECT_EQ(world.post("/api/v1/publish", kMessage).status, 200);
  world.client = *IpAddress::parse("192.0.2.8");
  EXPECT_EQ(world.as(world.token("ann"), "POST", "/api/v1/publish", kMessage).status, 200);
}

TEST(UserTokens, AreHeldToTheUsersRateAndApiKeysAreNot) {
  World world;
  const std::string token = world.token("ann");
  int allowed = 0;
  Answer last;
  while ((last = world.as(token, "GET", "/api/v1/channels/room:a/history")).status == 200 && allowed < 1000)
    ++allowed;
  EXPECT_EQ(allowed, 50);  // five times the burst of a connection
  EXPECT_EQ(last.status, 429);
  EXPECT_THAT(last.body, HasSubstr(R"("retry_after_ms":)"));
  EXPECT_EQ(last.field("Retry-After"), "1");
  EXPECT_EQ(world.as(world.token("bob"), "GET", "/api/v1/channels/room:a/history").status, 200);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(world.get("/api/v1/channels/room:a/history").status, 200);
}

TEST(UserTokens, SpendNothingOnWhatIsMalformedWhichIsNamedBeforeTheRate) {
  World world;
  const std::string token = world.token("ann");
  const auto publish = [&](const std::string& body) {
    return world.as(token, "POST", "/api/v1/publish", body).status;
  };
  const auto malformed = [&] {
    for (const std::string body : {"{", "[]", R"({"channel":5})", "\xff"})
      EXPECT_EQ(publish(body), 400) << body;
    EXPECT_EQ(world.as(token, "GET", "/api/v1/channels/room:a/history?limit=x").status, 400);
  };
  for (int i = 0; i < 30; ++i) malformed();
  int allowed = 0;
  while (publish(kMessage) == 200 && allowed < 1000) ++allowed;
  // Not a token was taken, but the user's record knows of it.
  EXPECT_EQ(allowed, 25);
  malformed();
}

// A tenant whose keys are fetched, and none has been yet.
struct RemoteKeys {
  explicit RemoteKeys(World& world) : world_(world) {}
  World::Ask publish() const {
    const std::string token =
        signer_.token(auth::Algorithm::ES256, R"({"alg":"ES256","kid":"k"})", R"({"sub":"ann"})");
    return {"POST", "/api/v1/publish", kMessage, {{"Authorization", "Bearer " + token}}};
  }
  void arrive() {
    std::vector<auth::Key> keys;
    keys.push_back(auth::Key::from_public_key("k", {}, signer_.pkey()).value());
    world_.tenants[tenant].verifier.set_keys(
        std::make_shared<const auth::KeyRing>()->with_jwks(std::move(keys)));
  }
  static constexpr hub::TenantId tenant = World::kRemote;

 private:
  World& world_;
  auth::TestSigner signer_ = auth::TestSigner::of(auth::Algorithm::ES256);
};

TEST(UserTokens, WaitForAKeySetOnceAndThenAreJudged) {
  std::vector<hub::TenantId> fetched;
  Hooks hooks;
  hooks.find_tenant = [](auto, auto) { return World::kRemote; };
  hooks.fetch_keys = [&](hub::TenantId tenant) { fetched.push_back(tenant); };
  World world({}, std::move(hooks));
  RemoteKeys remote(world);

  const auto first = world.start(remote.publish());
  EXPECT_FALSE(first->has_value());
  EXPECT_THAT(fetched, testing::ElementsAre(remote.tenant));
  world.router->keys_changed(world.now);
  ASSERT_TRUE(first->has_value());
  EXPECT_EQ((*first)->status, 503);
  EXPECT_EQ((*first)->field("Retry-After"), "5");
  EXPECT_EQ(fetched.size(), 1u);
  EXPECT_EQ(world.router->waiting(), 0u);

  const auto second = world.start(remote.publish());
  world.router->keys_changed(world.now, hub::TenantId{0});
  EXPECT_FALSE(second->has_value()) << "another tenant's keys are no news";
  remote.arrive();
  world.router->keys_changed(world.now, remote.tenant);
  world.run();
  ASSERT_TRUE(second->has_value());
  EXPECT_EQ((*second)->status, 200);
}

TEST(UserTokens, AreNoFailedAttemptsWhileKeysCannotBeRead) {
  Hooks hooks;
  hooks.find_tenant = [](auto, auto) { return World::kRemote; };
  World world({}, std::move(hooks));
  const RemoteKeys remote(world);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(world.send(remote.publish()).status, 503);
}

TEST(UserTokens, WaitForAKeySetInABoundedNumber) {
  Hooks hooks;
  hooks.find_tenant = [](auto, auto) { return World::kRemote; };
  hooks.fetch_keys = [](hub::TenantId) {};
  World world({}, std::move(hooks));
  const RemoteKeys remote(world);
  const World::Ask ask = remote.publish();
  for (std::size_t i = 0; i < Router::kWaitingMax; ++i) world.start(ask);
  EXPECT_EQ(world.router->waiting(), Router::kWaitingMax);
  EXPECT_EQ(world.send(ask).status, 503);
  world.router->keys_changed(world.now);
  EXPECT_EQ(world.router->waiting(), 0u);

  World::Ask large = ask;
  large.body = std::string(Router::kWaitingBytesMax / 2, ' ');
  world.start(large);
  world.start(large);
  EXPECT_EQ(world.router->waiting(), 2u);
  EXPECT_EQ(world.send(ask).status, 503);
}

}  // namespace
}  // namespace tidewire::api
