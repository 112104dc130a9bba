#include "api/test_world.h"

namespace tidewire::api {
namespace {

using testing::HasSubstr;

Options with_origins(std::vector<std::string> origins) {
  return {.keys = {}, .allowed_origins = std::move(origins), .demo_secret = {}, .version = {}};
}

TEST(Router, AnswersUnknownPathsWith404) {
  World world;
  for (const std::string target :
       {"/", "", "*", "/nope", "/api", "/api/v1", "/api/v1/channels/", "/api/v1/channels/a/b/c", "/healthz/",
        "//healthz", "/api/v1/channels//history", "/api/v1/channels/%zz", "/sse", "/admin/", "/openapi.yaml",
        "/api/v1/users/ann/nudge"}) {
    const Answer answer = world.get(target);
    EXPECT_EQ(answer.status, 404) << target;
    EXPECT_THAT(answer.body, HasSubstr(R"("code":"not_found")")) << target;
  }
}

TEST(Router, AnswersOtherMethodsWith405AndNamesThoseThatThereAre) {
  World world;
  const Answer get = world.get("/api/v1/publish");
  EXPECT_EQ(get.status, 405);
  EXPECT_EQ(get.field("Allow"), "POST, OPTIONS");
  EXPECT_EQ(get.content_type, "application/problem+json");
  const Answer removal = world.send({.method = "DELETE", .target = "/api/v1/channels/room:a"});
  EXPECT_EQ(removal.status, 405);
  EXPECT_EQ(removal.field("Allow"), "GET, HEAD, OPTIONS");
}

TEST(Router, AnswersHeadAsGet) {
  World world;
  const Answer head = world.send({.method = "HEAD", .target = "/healthz"});
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, R"({"status":"ok"})");
}

TEST(Router, TakesTargetsInAbsoluteForm) {
  World world;
  EXPECT_EQ(world.send({.target = "http://tide.example/healthz"}).status, 200);
  EXPECT_EQ(world.send({.target = "http://tide.example"}).status, 404);
}

TEST(Router, DecodesASegmentAfterSplitting) {
  World world;
  world.post("/api/v1/publish", R"({"channel":"room:a/b","data":1})");
  EXPECT_THAT(world.get("/api/v1/channels/room%3Aa%2Fb").body, HasSubstr(R"("channel":"room:a/b")"));
  EXPECT_EQ(world.get("/api/v1/channels/room:a/b").status, 404);
}

// The status by which the head alone is refused; 0 where the body is to be taken.
int refused(World& world, const World::Ask& ask, std::uint64_t announced) {
  wire::HttpRequest head = World::request_of(ask);
  head.content_length = announced;
  const auto refusal = world.router->refuse_by_head(head, world.client, world.now);
  return refusal ? refusal->status : 0;
}

TEST(RefuseByHead, KnowsHowLargeABodyEachPathTakes) {
  World world;
  world.tenants[1].limits.message_bytes = 1000;
  const auto with = [](std::string target, std::string key, std::string body = {}) {
    return World::Ask{"POST", std::move(target), std::move(body), {{"X-API-Key", std::move(key)}}};
  };
  const std::size_t most = world.tenants[0].limits.message_bytes;
  for (const char* path : {"/api/v1/publish", "/api/v1/broadcast", "/api/v1/users/ann/notify"}) {
    EXPECT_EQ(refused(world, with(path, "tw_all"), most), 0) << path;
    EXPECT_EQ(refused(world, with(path, "tw_all"), most + 1), 413) << path;
    EXPECT_EQ(refused(world, with(path, "tw_acme"), 1001), 413) << path;
    EXPECT_EQ(refused(world, with(path, "tw_acme", std::string(1000, 'x')), 0), 0) << path;
    EXPECT_EQ(refused(world, with(path, "tw_acme", std::string(1001, 'x')), 0), 413) << "chunked " << path;
    EXPECT_EQ(refused(world, with(path, "tw_wrong"), most + 1), 403) << path;
  }
  EXPECT_EQ(refused(world, with("/api/v1/batch", "tw_acme"), std::size_t{16} << 20), 0);
  EXPECT_EQ(refused(world, with("/api/v1/batch", "tw_acme"), (std::size_t{16} << 20) + 1), 413);
}

TEST(RefuseByHead, HoldsUsersToTheirTenantsBound) {
  World world;
  const World::Ask ask{"POST", "/api/v1/publish", {}, {{"Authorization", "Bearer " + world.token("ann")}}};
  const std::size_t most = world.tenants[0].limits.message_bytes;
  EXPECT_EQ(refused(world, ask, most), 0);
  EXPECT_EQ(refused(world, ask, most + 1), 413);
}

TEST(RefuseByHead, ForgivesASmallBodyThatNobodyReads) {
  World world;
  EXPECT_EQ(refused(world, {.target = "/healthz"}, 65536), 0);
  EXPECT_EQ(refused(world, {.target = "/healthz"}, 65537), 413);
  EXPECT_EQ(refused(world, {.target = "/sse"}, 65537), 413);
}

TEST(Cors, LetsAnAllowedOriginReadTheAnswer) {
  World world(with_origins({"https://app.example"}));
  const Answer allowed = world.send({.target = "/healthz", .fields = {{"Origin", "https://app.example"}}});
  EXPECT_EQ(allowed.field("Access-Control-Allow-Origin"), "https://app.example");
  EXPECT_EQ(allowed.field("Vary"), "Origin");
  const Answer other = world.send({.target = "/healthz", .fields = {{"Origin", "https://evil.example"}}});
  EXPECT_EQ(other.field("Access-Control-Allow-Origin"), "");
  EXPECT_EQ(other.field("Vary"), "Origin");
  EXPECT_EQ(world.send({.target = "/healthz"}).field("Access-Control-Allow-Origin"), "");
}

TEST(Cors, CoversErrorsToo) {
  World world(with_origins({"*"}));
  const Answer answer = world.send({.target = "/nope", .fields = {{"Origin", "https://app.example"}}});
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.field("Access-Control-Allow-Origin"), "https://app.example");
  EXPECT_EQ(answer.field("Access-Control-Expose-Headers"), "Retry-After");
}

TEST(ContentCoding, OfABodyIsNamedInTheRefusal) {
  World world;
  const auto publish = [&](std::string coding, std::string key = "tw_all") {
    return world.send({.method = "POST",
                       .target = "/api/v1/publish",
                       .body = R"({"channel":"room:1"})",
                       .fields = {{"X-API-Key", std::move(key)}, {"Content-Encoding", std::move(coding)}}});
  };
  const Answer refused = publish("identity, GZIP");
  EXPECT_EQ(refused.status, 415);
  EXPECT_THAT(refused.body, HasSubstr("Content-Encoding: GZIP"));
  EXPECT_EQ(refused.field("Accept-Encoding"), "identity");
  EXPECT_EQ(publish("identity").status, 200);
  EXPECT_EQ(publish("gzip", "tw_wrong").status, 403) << "who calls is judged first";
  EXPECT_EQ(world.send({.target = "/healthz", .fields = {{"Content-Encoding", "gzip"}}}).status, 200);
  auto head = World::request_of({.method = "POST",
                                 .target = "/api/v1/publish",
                                 .fields = {{"X-API-Key", "tw_all"}, {"Content-Encoding", "br"}}});
  const auto early = world.router->refuse_by_head(head, world.client, world.now);
  ASSERT_TRUE(early);
  EXPECT_EQ(early->status, 415);
}

TEST(Cors, AnswersAPreflightWithoutCredentials) {
  World world(with_origins({"same-host"}));
  const Answer answer =
      world.send({.method = "OPTIONS",
                  .target = "/api/v1/publish",
                  .fields = {{"Origin", "http://tide.example"},
                             {"Access-Control-Request-Method", "POST"},
                             {"Access-Control-Request-Headers", "authorization,content-type"}}});
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(answer.field("Access-Control-Allow-Origin"), "http://tide.example");
  EXPECT_EQ(answer.field("Access-Control-Allow-Methods"), "POST, OPTIONS");
  EXPECT_EQ(answer.field("Access-Control-Allow-Headers"), "Authorization, X-API-Key, Content-Type");
  EXPECT_EQ(answer.field("Access-Control-Max-Age"), "600");
}

TEST(Cors, RefusesAPreflightOfAnotherOrigin) {
  World world(with_origins({"same-host"}));
  const Answer answer = world.send(
      {.method = "OPTIONS", .target = "/api/v1/publish", .fields = {{"Origin", "http://evil.example"}}});
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.field("Access-Control-Allow-Origin"), "");
  EXPECT_EQ(world.send({.method = "OPTIONS", .target = "/nope"}).status, 404);
}

}  // namespace
}  // namespace tidewire::api
