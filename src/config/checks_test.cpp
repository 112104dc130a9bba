#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "config/load.h"
#include "config/test_problems.h"

namespace tidewire::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> problems(const std::string& toml) {
  const auto loaded = load({.file = "t.toml", .text = toml});
  return loaded ? std::vector<std::string>{} : lines_of(loaded.error());
}

// Without the one for a server that has no key.
std::vector<std::string> warnings(const std::string& toml) {
  const auto loaded = load({.file = "t.toml",
                            .text = toml,
                            .environment = {{"TIDEWIRE_AUTH_JWKS_URL", "https://id.example/jwks"}}});
  return loaded ? lines_of(loaded->warnings) : lines_of(loaded.error());
}

class PemFile {
 public:
  PemFile(const char* name, const std::string& content)
      : path_(std::filesystem::path(::testing::TempDir()) / name) {
    std::ofstream(path_) << content;
  }
  ~PemFile() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

TEST(Checks, WantCertificateAndKeyTogetherAndReadable) {
  const PemFile cert("tidewire_checks_cert.pem", "-----BEGIN CERTIFICATE-----\n");
  const PemFile key("tidewire_checks_key.pem", "-----BEGIN PRIVATE KEY-----\n");
  const auto server = [](const std::string& c, const std::string& k) {
    std::string out = "[server]\n";
    if (!c.empty()) out += "tls_cert = \"" + c + "\"\n";
    if (!k.empty()) out += "tls_key = \"" + k + "\"\n";
    return out;
  };
  EXPECT_THAT(problems(server(cert.path(), key.path())), IsEmpty());
  EXPECT_THAT(problems(server(cert.path(), "")),
              ElementsAre("t.toml:2: server.tls_cert: needs server.tls_key beside it"));
  EXPECT_THAT(problems(server("", key.path())),
              ElementsAre("t.toml:2: server.tls_key: needs server.tls_cert beside it"));
  EXPECT_THAT(
      problems(server("/no/such/file", key.path())),
      ElementsAre("t.toml:2: server.tls_cert: the file \"/no/such/file\" does not exist or cannot be read"));
  EXPECT_THAT(problems(server(key.path(), cert.path())),
              ElementsAre(HasSubstr("holds no \"-----BEGIN CERTIFICATE-----\""),
                          HasSubstr("holds no \"PRIVATE KEY-----\"")));
  EXPECT_THAT(problems(server(::testing::TempDir(), key.path())),
              ElementsAre(HasSubstr("does not exist or cannot be read")));
  const PemFile empty("tidewire_checks_empty.pem", "");
  EXPECT_THAT(problems(server(empty.path(), key.path())), ElementsAre(HasSubstr("is empty")));
}

TEST(Checks, RefuseAddressesThatCannotBeListenedOn) {
  for (const char* text : {"8080", ":8080", "example.com:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                           "127.0.0.1:-1", "::1:8080", "[127.0.0.1]:80", "[]:80", ""})
    EXPECT_THAT(problems("[server]\nlisten = \"" + std::string(text) + "\"\n"),
                ElementsAre(HasSubstr("t.toml:2: server.listen")))
        << text;
}

TEST(Checks, RefuseMalformedProxiesAndOrigins) {
  EXPECT_THAT(problems("[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\", \"fe80::/10\"]\n"), IsEmpty());
  EXPECT_THAT(problems("[server]\ntrusted_proxies = [\"10.0.0.0/33\", \"proxy\", \"10.0.0.0/0008\"]\n"),
              ElementsAre(HasSubstr("\"10.0.0.0/0008\" is no address"),
                          HasSubstr("\"10.0.0.0/33\" is no address"), HasSubstr("\"proxy\" is no address")));
  EXPECT_THAT(problems("[server]\nallowed_origins = [\"*\", \"null\", \"https://a.example\"]\n"), IsEmpty());
  for (const char* origin : {"a.example", "https://", "https://a.example/", "https://*.a.example", "://x"})
    EXPECT_THAT(problems("[server]\nallowed_origins = [\"" + std::string(origin) + "\"]\n"),
                ElementsAre(HasSubstr("an origin such as")))
        << origin;
}

TEST(Checks, AllowPlainHttpForKeysOnLoopbackOnly) {
  for (const char* url : {"https://id.example/jwks", "http://127.0.0.1:9/jwks", "http://localhost/j",
                          "http://[::1]:9/j", "http://user@127.0.0.1/j"})
    EXPECT_THAT(problems("[auth]\njwks_url = \"" + std::string(url) + "\"\n"), IsEmpty()) << url;
  for (const char* url :
       {"http://id.example/jwks", "http://127.0.0.1@evil.example/j", "http://127.0.0.1.evil.example/j",
        "http://localhost.example/j", "file:///etc/passwd", "id.example", "https://"})
    EXPECT_THAT(problems("[auth]\njwks_url = \"" + std::string(url) + "\"\n"),
                ElementsAre(HasSubstr("t.toml:2: auth.jwks_url")))
        << url;
  EXPECT_THAT(problems("[tenants.a]\njwks_url = \"http://id.example\"\n"),
              ElementsAre(HasSubstr("t.toml:2: tenants.a.jwks_url: plain http")));
  EXPECT_THAT(problems("[tenants.a]\njwks_url = \"https://id.example:0/j\"\n"),
              ElementsAre(HasSubstr("t.toml:2: tenants.a.jwks_url: has a port")));
}

TEST(Checks, WantEveryStaticKeyComplete) {
  const auto key = [](const std::string& fields) { return "[[auth.keys]]\n" + fields; };
  EXPECT_THAT(problems(key("alg = \"HS256\"\nsecret = \"s\"\n")), IsEmpty());
  EXPECT_THAT(problems(key("secret = \"s\"\n")), ElementsAre(HasSubstr("auth.keys[0].alg: must be HS256"),
                                                             HasSubstr("auth.keys[0].secret: is for HS256")));
  EXPECT_THAT(problems(key("alg = \"none\"\nfile = \"/no/such\"\n")),
              ElementsAre(HasSubstr("auth.keys[0].alg"), HasSubstr("auth.keys[0].file")));
  EXPECT_THAT(problems(key("alg = \"HS256\"\n")),
              ElementsAre(HasSubstr("auth.keys[0]: needs one of secret and file")));
  EXPECT_THAT(problems(key("alg = \"RS256\"\nsecret = \"s\"\n")),
              ElementsAre(HasSubstr("auth.keys[0].secret")));
  EXPECT_THAT(
      problems(key("alg = \"HS256\"\nsecert = \"s\"\n")),
      ElementsAre(HasSubstr("needs one of"),
                  HasSubstr("t.toml:3: auth.keys[0].secert: is not a setting (did you mean secret?)")));
  EXPECT_THAT(problems("[auth]\nkeys = [{alg = \"HS256\", kid = \"a\", secret = \"s\"}, {alg = \"HS256\", "
                       "kid = \"a\", secret = \"t\"}]\n"),
              ElementsAre(HasSubstr("auth.keys[1].kid: is used by another key too")));
  EXPECT_THAT(problems("[auth]\nkeys = [\"a\"]\n"), ElementsAre(HasSubstr("auth.keys[0]: must be a table")));
  EXPECT_THAT(problems("[auth]\nkeys = \"a\"\n"),
              ElementsAre(HasSubstr("auth.keys: must be an array of tables")));
}

TEST(Checks, WantApiKeysWithKnownScopesAndTenants) {
  EXPECT_THAT(
      problems("[[api.keys]]\nkey = \"tw_a\"\nscopes = [\"reed\"]\n"),
      ElementsAre(
          "t.toml:3: api.keys[0].scopes: \"reed\" is no scope; a scope must be publish, read or admin "
          "(did you mean read?)"));
  EXPECT_THAT(problems("[[api.keys]]\nkey = \"tw_a\"\nscopes = []\n"),
              ElementsAre(HasSubstr("at least one scope")));
  EXPECT_THAT(problems("[[api.keys]]\nscopes = [\"read\"]\n"),
              ElementsAre(HasSubstr("api.keys[0].key: must not be empty")));
  EXPECT_THAT(
      problems("[[api.keys]]\nkey = \"tw_a\"\n"),
      ElementsAre("t.toml:1: api.keys[0].scopes: is missing; name what the key may do: publish, read, "
                  "admin"));
  EXPECT_THAT(problems("[[api.keys]]\nkey = \"tw_a\"\nscopes = [\"read\"]\ntenant = \"acme\"\n"),
              ElementsAre(HasSubstr("there is no tenant \"acme\"")));
  EXPECT_THAT(problems("[api]\nkey = \"tw_a\"\n[tenants.t]\napi_key = \"tw_a\"\n"),
              ElementsAre(HasSubstr("t.toml:4: tenants.t.api_key: is the same key as another one")));
  EXPECT_THAT(warnings("[api]\nkey = \"abc\"\n"),
              ElementsAre(HasSubstr("t.toml:2: api.key: does not begin with tw_")));
}

TEST(Checks, RefuseUnknownSchemes) {
  EXPECT_THAT(problems("[directory]\nurl = \"mysql://x\"\n"),
              ElementsAre(HasSubstr("directory.url: must be postgres://")));
  EXPECT_THAT(problems("[directory]\nurl = \"http://app.example\"\n"), ElementsAre(HasSubstr("use https")));
  EXPECT_THAT(problems("[directory]\nurl = \"postgres://u:p@h/db\"\n"), IsEmpty());
  EXPECT_THAT(problems("[directory]\nurl = \"https://{tenant}.app.example/users/{id}/x\"\n"), IsEmpty());
  EXPECT_THAT(problems("[directory]\nurl = \"https://app.example:x/{id}\"\n"),
              ElementsAre(HasSubstr("t.toml:2: directory.url: has a port")));
}

// A setting that nothing reads must not look as if it worked.
TEST(Checks, RefuseWhatThisVersionDoesNotServe) {
  for (const char* url : {"redis://h:6379", "rediss://h:6380", "mysql://x", ""})
    EXPECT_THAT(
        problems("[engine]\nurl = \"" + std::string(url) + "\"\n"),
        ElementsAre(
            "t.toml:2: engine.url: must be embedded: this version does not serve redis:// and rediss://"))
        << url;
  EXPECT_THAT(problems("[engine]\nurl = \"embedded\"\n"), IsEmpty());
  EXPECT_THAT(
      problems("[webhooks]\nurl = \"https://app.example/hook\"\nsecret = \"s\"\nmax_age = \"1h\"\n"),
      ElementsAre("t.toml:2: webhooks.url: this version does not serve webhooks; leave it out",
                  HasSubstr("t.toml:3: webhooks.secret: "), HasSubstr("t.toml:4: webhooks.max_age: ")));
  EXPECT_THAT(problems("[webhooks]\nurl = \"\"\ntimeout = \"5s\"\n"), IsEmpty());
}

// What `config print` writes is no configuration.
TEST(Checks, RefuseTheMaskOfASecretAsASecret) {
  const auto refused = [](const std::string& place_and_key) {
    return ElementsAre(place_and_key +
                       ": *** is what `config print` shows in place of a secret; write the secret itself");
  };
  EXPECT_THAT(problems("[auth]\nhs256_secret = \"***\"\n"), refused("t.toml:2: auth.hs256_secret"));
  EXPECT_THAT(problems("[api]\nkey = \"***\"\n"), refused("t.toml:2: api.key"));
  EXPECT_THAT(problems("[directory]\nsecret = \"***\"\n"), refused("t.toml:2: directory.secret"));
  EXPECT_THAT(problems("[directory]\nurl = \"postgres://u:***@h/db\"\n"), refused("t.toml:2: directory.url"));
  EXPECT_THAT(problems("[tenants.a]\nhs256_secret = \"***\"\n"), refused("t.toml:2: tenants.a.hs256_secret"));
  EXPECT_THAT(problems("[tenants.a]\napi_key = \"***\"\n"), refused("t.toml:2: tenants.a.api_key"));
  EXPECT_THAT(problems("[api]\nkeys = [{key = \"tw_a\", scopes = [\"read\"]},\n"
                       "{key = \"***\", scopes = [\"read\"]}]\n"),
              refused("t.toml:3: api.keys[1].key"));
  EXPECT_THAT(problems("[[auth.keys]]\nalg = \"HS256\"\nsecret = \"***\"\n"),
              refused("t.toml:3: auth.keys[0].secret"));
  EXPECT_THAT(problems("[[tenants.a.keys]]\nalg = \"HS256\"\nsecret = \"***\"\n"),
              refused("t.toml:3: tenants.a.keys[0].secret"));
  EXPECT_THAT(problems("[auth]\nhs256_secret = \"a-secret-with-***-in-it-of-32-bytes\"\n"), IsEmpty());
}

TEST(Checks, RefuseImpossibleTenantsAndNamespaces) {
  EXPECT_THAT(problems("[tenants.default]\nhosts = []\n"),
              ElementsAre(HasSubstr("t.toml:1: tenants.default: the default tenant")));
  EXPECT_THAT(problems("[tenants.\"a b\"]\nhosts = []\n"), ElementsAre(HasSubstr("a tenant's name is")));
  EXPECT_THAT(
      problems("[tenants.a]\nhosts = [\"x.example\"]\n[tenants.b]\nhosts = [\"x.example\", \"y/z\"]\n"),
      ElementsAre(HasSubstr("tenants.b.hosts: \"x.example\" belongs to another"),
                  HasSubstr("\"y/z\" is no host name")));
  EXPECT_THAT(problems("[tenants.a]\nhosts = [\"X.example\", \"x.EXAMPLE\", \"[::1]\"]\n"), IsEmpty());
  EXPECT_THAT(problems("[tenants.a]\nhosts = [\"X.example\"]\n[tenants.b]\nhosts = [\"x.EXAMPLE\"]\n"),
              ElementsAre("t.toml:4: tenants.b.hosts: \"x.example\" belongs to another tenant too"));
  for (const char* host : {"x.example:8080", "[::1]:80", "::1", "x.example:"})
    EXPECT_THAT(problems("[tenants.a]\nhosts = [\"" + std::string(host) + "\"]\n"),
                ElementsAre("t.toml:2: tenants.a.hosts: \"" + std::string(host) +
                            "\" must be a host name without a port (IPv6 in brackets)"));
  EXPECT_THAT(problems("[namespaces.\"$x\"]\nkind = \"stream\"\n"),
              ElementsAre(HasSubstr("a namespace's name is")));
  EXPECT_THAT(problems("[namespaces.\"a:b\"]\nkind = \"stream\"\n"),
              ElementsAre(HasSubstr("a namespace's name is")));
  EXPECT_THAT(problems("[namespaces.room]\nsubscribe = \"member\"\npublish = \"creator\"\n"),
              ElementsAre(HasSubstr("a channel of kind stream has no member"),
                          HasSubstr("kind stream has no creator")));
  EXPECT_THAT(problems("[namespaces.room]\nsubscribe = \"user\"\n"),
              ElementsAre(HasSubstr("no user of its own")));
  EXPECT_THAT(problems("namespaces = 1\n"), ElementsAre("t.toml:1: namespaces: must be a table"));
  EXPECT_THAT(problems("namespaces.room = 1\n"), ElementsAre("t.toml:1: namespaces.room: must be a table"));
}

TEST(Checks, RefuseUnknownCapabilitiesAndAnEmptyUserClaim) {
  EXPECT_THAT(problems("[auth]\nanonymous_capabilities = [\"mesaging\"]\n"),
              ElementsAre(HasSubstr("(did you mean messaging?)")));
  EXPECT_THAT(problems("[auth]\nuser_claim = \"\"\n"),
              ElementsAre(HasSubstr("auth.user_claim: must not be empty")));
}

TEST(Checks, WarnOfWhatIsMerelyUnwise) {
  EXPECT_THAT(warnings(""), IsEmpty());
  EXPECT_THAT(warnings("[auth]\nhs256_secret = \"short\"\n"),
              ElementsAre(HasSubstr("less than 32 bytes can be guessed")));
  EXPECT_THAT(warnings("[namespaces.room]\nconflate_ms = 5\njoin = \"open\"\n"),
              ElementsAre(HasSubstr("only documents"), HasSubstr("only sessions")));
  EXPECT_THAT(warnings("[namespaces.upload]\nconflate_ms = 1000\n"), IsEmpty());
  EXPECT_THAT(warnings("[tenants.a]\nhosts = [\"a.example\"]\n"),
              ElementsAre(HasSubstr("tenants.a: no key is configured")));
}

}  // namespace
}  // namespace tidewire::config
