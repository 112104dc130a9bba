#include "api/pages.h"

#include <brotli/decode.h>

#include <fstream>
#include <sstream>

#include "api/test_world.h"
#include "testing/source_dir.h"

namespace tidewire::api {
namespace {

using testing::HasSubstr;

Options with_demo(std::string secret) {
  return {.keys = {},
          .allowed_origins = {},
          .demo_enabled = true,
          .demo_secret = std::move(secret),
          .version = {}};
}

TEST(Demo, IsNotThereUnlessItIsOn) {
  World world({.keys = {}, .allowed_origins = {}, .demo_secret = "secret", .version = {}});
  for (const std::string target : {"/demo", "/demo/", "/demo/index.html", "/demo/token?name=ann"})
    EXPECT_EQ(world.send({.target = target}).status, 404) << target;
}

TEST(Demo, ServesItsFilesAsTheyAre) {
  World world(with_demo(""));
  EXPECT_EQ(world.send({.target = "/demo"}).field("Location"), "/demo/");
  EXPECT_EQ(world.send({.target = "/demo"}).status, 307);
  for (const auto& [name, type] :
       std::vector<std::pair<std::string, std::string>>{{"index.html", "text/html; charset=utf-8"},
                                                        {"demo.css", "text/css; charset=utf-8"},
                                                        {"demo.js", "text/javascript; charset=utf-8"},
                                                        {"favicon.svg", "image/svg+xml"}}) {
    std::ifstream file(std::string(TIDEWIRE_SOURCE_DIR "/web/demo/dist/") + name, std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    const Answer answer = world.send({.target = "/demo/" + name});
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.body == bytes.str()) << name;
    EXPECT_EQ(answer.content_type, type);
    EXPECT_EQ(answer.field("Cache-Control"), "no-cache");
    EXPECT_THAT(answer.field("Content-Security-Policy"), HasSubstr("default-src 'none'; script-src 'self'"));
  }
  EXPECT_EQ(world.send({.target = "/demo/"}).body, world.send({.target = "/demo/index.html"}).body);
  EXPECT_EQ(world.send({.target = "/demo/nope.js"}).status, 404);
  EXPECT_EQ(world.send({.target = "/demo/..%2Fdemo.js"}).status, 404);
}

TEST(Demo, SendsWhatWasCompressedWhenItWasBuilt) {
  World world(with_demo(""));
  const std::string whole = world.send({.target = "/demo/demo.js"}).body;
  const Answer brotli = world.send({.target = "/demo/demo.js", .fields = {{"Accept-Encoding", "br"}}});
  EXPECT_EQ(brotli.field("Content-Encoding"), "br");
  EXPECT_THAT(brotli.field("Vary"), HasSubstr("Accept-Encoding"));
  std::string unpacked(whole.size(), '\0');
  std::size_t size = unpacked.size();
  ASSERT_EQ(
      BrotliDecoderDecompress(brotli.body.size(), reinterpret_cast<const std::uint8_t*>(brotli.body.data()),
                              &size, reinterpret_cast<std::uint8_t*>(unpacked.data())),
      BROTLI_DECODER_RESULT_SUCCESS);
  unpacked.resize(size);
  EXPECT_EQ(unpacked, whole);
  EXPECT_EQ(world.send({.target = "/demo/demo.js", .fields = {{"Accept-Encoding", "gzip"}}})
                .field("Content-Encoding"),
            "gzip");
}

TEST(AdminPage, IsThereWhenItIsOnAndAsksNothingOfTheServerByItself) {
  World off(with_demo(""));
  for (const std::string target : {"/admin", "/admin/", "/admin/admin.js"})
    EXPECT_EQ(off.send({.target = target}).status, 404) << target;
  Options options = with_demo("");
  options.admin_enabled = true;
  World on(std::move(options));
  EXPECT_EQ(on.send({.target = "/admin"}).field("Location"), "/admin/");
  EXPECT_EQ(on.send({.target = "/admin/"}).content_type, "text/html; charset=utf-8");
  EXPECT_EQ(on.send({.target = "/admin/admin.js"}).status, 200);
  EXPECT_EQ(on.send({.target = "/admin/demo.js"}).status, 404);
}

TEST(DemoToken, ProvesTheNameForAnHour) {
  World world(with_demo(std::string(kDevelopmentSecret)));
  const Answer answer = world.send({.target = "/demo/token?name=Ann-1"});
  EXPECT_EQ(answer.field("Cache-Control"), "no-store");
  ASSERT_TRUE(answer.body.starts_with(R"({"token":")"));
  const std::string token = answer.body.substr(10, answer.body.size() - 12);
  const auto identity = world.tenants[0].verifier.verify(token, world.now);
  ASSERT_TRUE(identity);
  EXPECT_EQ((*identity)->user_id, "Ann-1");
  EXPECT_FALSE((*identity)->id_is_number);
  EXPECT_NEAR(static_cast<double>(*(*identity)->expires_at_ms), static_cast<double>(kUnixMs + 3'600'000),
              1000);
}

TEST(DemoToken, GrantsWhatTheDemoShowsAndNobodysInbox) {
  World world(with_demo(std::string(kDevelopmentSecret)));
  const Answer answer = world.send({.target = "/demo/token?name=ann"});
  const auto identity =
      world.tenants[0].verifier.verify(answer.body.substr(10, answer.body.size() - 12), world.now);
  ASSERT_TRUE(identity);
  const auto may = [&](auth::Action action, std::string_view channel) {
    return auth::allows((*identity)->grants, action, channel);
  };
  EXPECT_TRUE(may(auth::Action::publish, "session:lobby"));
  EXPECT_TRUE(may(auth::Action::publish, "user:bob"));
  EXPECT_TRUE(may(auth::Action::publish, "dashboard:server"));
  EXPECT_TRUE(may(auth::Action::subscribe, "agent:lobby:1"));
  EXPECT_TRUE(may(auth::Action::subscribe, "upload:lobby:1"));
  EXPECT_FALSE(may(auth::Action::subscribe, "user:bob"));
  EXPECT_FALSE(may(auth::Action::subscribe, "session:lobby"));
  EXPECT_FALSE(may(auth::Action::publish, "public:news"));
}

TEST(DemoToken, IsOnlyForNames) {
  World world(with_demo("secret"));
  for (const std::string query :
       {"", "?name=", "?name=a%20b", "?name=a:b", "?name=1234567890123456789012345", "?name=%C3%A9"})
    EXPECT_EQ(world.send({.target = "/demo/token" + query}).status, 400) << query;
}

TEST(DemoToken, IsNotThereWithoutASecret) {
  World world(with_demo(""));
  EXPECT_EQ(world.send({.target = "/demo/token?name=ann"}).status, 404);
}

TEST(Descriptions, AreServedToAnyone) {
  World world({.keys = {}, .allowed_origins = {}, .demo_secret = {}, .version = {}});
  for (const std::string target : {"/openapi.json", "/asyncapi.json"}) {
    const Answer answer = world.send({.target = target});
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.content_type, "application/json");
    EXPECT_EQ(answer.field("Cache-Control"), "no-cache");
    EXPECT_THAT(answer.body, HasSubstr("\"" + target.substr(1, target.find("api") + 2)));
  }
}

}  // namespace
}  // namespace tidewire::api
