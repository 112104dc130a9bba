#include "config/load.h"
#include "config/test_problems.h"
#include "testing/source_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace tidewire::config {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kSecret = "a-secret-of-more-than-thirty-two-bytes";

Loaded good(const LoadInput& input) {
  auto loaded = load(input);
  if (loaded) return *std::move(loaded);
  for (const ConfigProblem& problem : loaded.error()) ADD_FAILURE() << problem.to_string();
  return {};
}

std::vector<std::string> bad(const LoadInput& input) {
  const auto loaded = load(input);
  EXPECT_FALSE(loaded.has_value());
  return loaded ? std::vector<std::string>{} : lines_of(loaded.error());
}

LoadInput toml(std::string text) { return {.file = "t.toml", .text = std::move(text)}; }
LoadInput variables(std::vector<std::pair<std::string, std::string>> environment) {
  return {.environment = std::move(environment)};
}

TEST(Load, TakesTheDefaultsWhereNothingIsConfigured) {
  const Loaded loaded = good({});
  EXPECT_EQ(loaded.settings, default_settings());
  EXPECT_TRUE(loaded.origins.empty());
  EXPECT_FALSE(loaded.is_set("auth.required"));
  EXPECT_THAT(lines_of(loaded.warnings), ElementsAre(HasSubstr("no key is configured")));
}

TEST(Load, ReadsEveryTypeFromAFile) {
  const Loaded loaded = good(toml(R"(
[server]
listen = "[::1]:9000"
allowed_origins = ["https://a.example", "http://localhost:3000"]
drain_timeout = "1h"
[auth]
hs256_secret = "a-secret-of-more-than-thirty-two-bytes"
required = false
reject = "http"
leeway = "500ms"
[health]
max_error_rate = 0.25
[limits]
burst = 77
message_bytes = "64KiB"
outbound_bytes = 65536
)"));
  const Settings& s = loaded.settings;
  EXPECT_EQ(s.server.listen, "[::1]:9000");
  EXPECT_THAT(s.server.allowed_origins, ElementsAre("https://a.example", "http://localhost:3000"));
  EXPECT_EQ(s.server.drain_timeout_ms, 3'600'000);
  EXPECT_FALSE(s.auth.required);
  EXPECT_EQ(s.auth.reject, RejectStyle::http);
  EXPECT_EQ(s.auth.leeway_ms, 500);
  EXPECT_EQ(s.health.max_error_rate, 0.25);
  EXPECT_EQ(s.limits.burst, 77);
  EXPECT_EQ(s.limits.message_bytes, 65536);
  EXPECT_EQ(s.limits.outbound_bytes, 65536);
  EXPECT_TRUE(loaded.is_set("auth.required"));
  EXPECT_EQ(loaded.origins.at("limits.burst"), "t.toml:14");
}

TEST(Load, ReadsEveryTypeFromTheEnvironment) {
  const Settings s =
      good(variables({{"TIDEWIRE_AUTH_HS256_SECRET", kSecret},
                      {"TIDEWIRE_AUTH_REQUIRED", "false"},
                      {"TIDEWIRE_INBOX_TTL", "7d"},
                      {"TIDEWIRE_HEALTH_MAX_ERROR_RATE", "0.5"},
                      {"TIDEWIRE_LIMITS_BURST", "3"},
                      {"TIDEWIRE_LIMITS_MESSAGE_BYTES", "2MiB"},
                      {"TIDEWIRE_COMPRESSION_MODE", "off"},
                      {"TIDEWIRE_SERVER_ALLOWED_ORIGINS", "https://a.example, https://b.example"},
                      {"TIDEWIRE_AUTH_ANONYMOUS_CAPABILITIES", ""},
                      {"PATH", "/bin"}}))
          .settings;
  EXPECT_EQ(s.auth.hs256_secret, kSecret);
  EXPECT_FALSE(s.auth.required);
  EXPECT_EQ(s.inbox.ttl_ms, 7 * 86'400'000);
  EXPECT_EQ(s.health.max_error_rate, 0.5);
  EXPECT_EQ(s.limits.burst, 3);
  EXPECT_EQ(s.limits.message_bytes, 2 << 20);
  EXPECT_EQ(s.compression.mode, Compression::off);
  EXPECT_THAT(s.server.allowed_origins, ElementsAre("https://a.example", "https://b.example"));
  EXPECT_THAT(s.auth.anonymous_capabilities, IsEmpty());
}

TEST(Load, LetsAFlagWinOverTheEnvironmentAndThatOverTheFile) {
  LoadInput input = toml("[limits]\nburst = 1\nchannels = 1\nfragments = 1\n");
  input.environment = {{"TIDEWIRE_LIMITS_BURST", "2"}, {"TIDEWIRE_LIMITS_CHANNELS", "2"}};
  input.flags = {{"--burst", "limits.burst", "3"}};
  const Loaded loaded = good(input);
  EXPECT_EQ(loaded.settings.limits.burst, 3);
  EXPECT_EQ(loaded.settings.limits.channels, 2);
  EXPECT_EQ(loaded.settings.limits.fragments, 1);
  EXPECT_EQ(loaded.origins.at("limits.burst"), "--burst");
  EXPECT_EQ(loaded.origins.at("limits.channels"), "TIDEWIRE_LIMITS_CHANNELS");
  EXPECT_EQ(loaded.origins.at("limits.fragments"), "t.toml:4");
}

TEST(Load, ReadsAFileByItsName) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "tidewire_load_test.toml";
  std::ofstream(path) << "[limits]\nburst = 9\n";
  EXPECT_EQ(good({.file = path.string()}).settings.limits.burst, 9);
  std::filesystem::remove(path);
  EXPECT_THAT(bad({.file = path.string()}), ElementsAre(path.string() + ": is not a file that can be read"));
  EXPECT_THAT(bad({.file = ::testing::TempDir()}), ElementsAre(HasSubstr("is not a file")));
}

TEST(Load, NamesKeyFileAndLineOfAnUnknownKey) {
  EXPECT_THAT(bad(toml("[limits]\n\nbrust = 5\n")),
              ElementsAre("t.toml:3: limits.brust: is not a setting (did you mean limits.burst?)"));
  EXPECT_THAT(bad(toml("burst = 5\n")),
              ElementsAre("t.toml:1: burst: is not a setting (did you mean limits.burst?)"));
  EXPECT_THAT(bad(toml("[limit]\nburst = 5\n")),
              ElementsAre("t.toml:1: limit: is not a setting (did you mean limits?)"));
  EXPECT_THAT(bad(toml("[auth]\nissuer.x = 1\n")),
              ElementsAre(HasSubstr("t.toml:2: auth.issuer: must be a string")));
  EXPECT_THAT(bad(toml("auth = 1\n")), ElementsAre("t.toml:1: auth: must be a table"));
}

TEST(Load, WarnsOfAnUnknownVariable) {
  const Loaded loaded = good(variables({{"TIDEWIRE_LIMITS_BRUST", "5"},
                                        {"TIDEWIRE_NAMESPACES_ROOM_COLOUR", "red"},
                                        {"TIDEWIRE_AUTH_HS256_SECRET", kSecret}}));
  EXPECT_THAT(lines_of(loaded.warnings),
              ElementsAre("environment variable TIDEWIRE_LIMITS_BRUST: names no setting"
                          " (did you mean TIDEWIRE_LIMITS_BURST?)",
                          "environment variable TIDEWIRE_NAMESPACES_ROOM_COLOUR: names no setting"));
}

TEST(Load, RefusesWrongTypes) {
  for (const char* line : {"burst = \"10\"",
                           "burst = 1.5",
                           "burst = true",
                           "adaptive = \"true\"",
                           "adaptive = 1",
                           "penalty = 60",
                           "penalty = \"60\"",
                           "penalty = \"1.5s\"",
                           "penalty = \"s\"",
                           "penalty = \"-1s\"",
                           "penalty = \"1 s\"",
                           "penalty = \"1w\"",
                           "penalty = \"99999999999999999999d\"",
                           "penalty = \"9223372036854775807d\"",
                           "message_bytes = \"1MB\"",
                           "message_bytes = 1e6",
                           "message_bytes = \"-1\"",
                           "burst = 2026-11-21",
                           "burst = [1]",
                           "burst = {}",
                           "burst = 99999999999"})
    EXPECT_THAT(bad(toml(std::string("[limits]\n") + line)), ElementsAre(HasSubstr("t.toml:2: limits.")))
        << line;
  for (const char* line : {"allowed_origins = \"*\"", "allowed_origins = [1]", "allowed_origins = [\"\"]",
                           "listen = 8080", "listen = \"a\\nb:1\""})
    EXPECT_THAT(bad(toml(std::string("[server]\n") + line)), ElementsAre(HasSubstr("t.toml:2: server.")))
        << line;
  for (const char* text : {"", "ten", "10 ", "0x10", "1e3", "9223372036854775808"})
    EXPECT_THAT(bad(variables({{"TIDEWIRE_LIMITS_BURST", text}})),
                ElementsAre("environment variable TIDEWIRE_LIMITS_BURST: limits.burst: must be an integer"))
        << text;
  EXPECT_THAT(bad(variables({{"TIDEWIRE_AUTH_REQUIRED", "yes"}})),
              ElementsAre(HasSubstr("must be true or false")));
  EXPECT_THAT(bad(variables({{"TIDEWIRE_HEALTH_MAX_ERROR_RATE", "nan"}})),
              ElementsAre(HasSubstr("must be a number")));
}

TEST(Load, RefusesValuesOutOfRange) {
  EXPECT_THAT(bad(toml("[limits]\nburst = -1\n")), ElementsAre("t.toml:2: limits.burst: must be at least 1"));
  EXPECT_THAT(bad(toml("[limits]\nconnections = -1\n")), ElementsAre(HasSubstr("must be at least 0")));
  EXPECT_THAT(bad(toml("[limits]\njson_depth = 1000\n")), ElementsAre(HasSubstr("must be at most 512")));
  EXPECT_THAT(bad(toml("[health]\nmax_error_rate = 1.5\n")), ElementsAre(HasSubstr("must be at most 1.0")));
  EXPECT_THAT(bad(toml("[heartbeat]\ninterval = \"1ms\"\n")),
              ElementsAre(HasSubstr("must be at least \"10ms\"")));
  EXPECT_THAT(bad({.flags = {{"--log-level", "log.level", "loud"}}}),
              ElementsAre("flag --log-level: log.level: must be trace, debug, info, warn or error"));
}

// The places are those of the element that is wrong, whatever the other ones are.
TEST(Load, NamesTheLineOfTheElementThatIsWrong) {
  EXPECT_THAT(bad(toml("[[api.keys]]\nkey = \"tw_a\"\nscopes = [\"read\"]\n\n"
                       "[[api.keys]]\nkey = \"tw_a\"\nscopes = [\"read\"]\ntenant = \"acme\"\n")),
              ElementsAre("t.toml:6: api.keys[1].key: is the same key as another one",
                          "t.toml:8: api.keys[1].tenant: there is no tenant \"acme\""));
  EXPECT_THAT(bad(toml("[[auth.keys]]\nalg = \"HS256\"\nsecret = \"s\"\nkid = \"a\"\n"
                       "[[auth.keys]]\nkid = \"a\"\nalg = \"ES256\"\n")),
              ElementsAre("t.toml:5: auth.keys[1]: needs one of secret and file",
                          "t.toml:6: auth.keys[1].kid: is used by another key too"));
  EXPECT_THAT(bad(toml("[tenants.a]\n[[tenants.a.keys]]\nalg = \"HS256\"\nsecret = \"s\"\n"
                       "[[tenants.a.keys]]\nalg = \"HS256\"\n")),
              ElementsAre("t.toml:5: tenants.a.keys[1]: needs one of secret and file"));
  EXPECT_THAT(bad(toml("[auth]\nkeys = [\n  {alg = \"HS256\", secret = \"s\"},\n  {alg = \"HS256\"},\n]\n")),
              ElementsAre("t.toml:4: auth.keys[1]: needs one of secret and file"));
  EXPECT_THAT(bad(toml("[api]\nkeys = [\"x\",\n  {key = \"\"}]\n")),
              ElementsAre("t.toml:2: api.keys[0]: must be a table"));
}

TEST(Load, NamesTheVariableOfAnElementThatIsWrong) {
  LoadInput input = toml(
      "[[api.keys]]\nkey = \"tw_a\"\nscopes = [\"read\"]\n"
      "[[api.keys]]\nkey = \"tw_b\"\nscopes = [\"read\"]\n");
  input.environment = {{"TIDEWIRE_API_KEYS", R"([{key = "tw_c", scopes = ["read"]}, {key = "tw_c"}])"}};
  EXPECT_THAT(
      bad(input),
      ElementsAre("environment variable TIDEWIRE_API_KEYS: api.keys[1].key: is the same key as another one",
                  HasSubstr("environment variable TIDEWIRE_API_KEYS: api.keys[1].scopes: is missing")));
}

TEST(Load, NamesTheLineOfATenantOrNamespaceThatSetsNothing) {
  EXPECT_THAT(bad(toml("\n[tenants.default]\n[namespaces.\"a:b\"]\n")),
              ElementsAre(HasSubstr("t.toml:2: tenants.default: the default tenant"),
                          HasSubstr("t.toml:3: namespaces.a:b: a namespace's name")));
  EXPECT_THAT(bad(variables({{"TIDEWIRE_TENANTS_DEFAULT_API_KEY", "tw_a"}})),
              ElementsAre(HasSubstr("variable TIDEWIRE_TENANTS_DEFAULT_API_KEY: tenants.default: ")));
}

TEST(Load, NamesTheKindWhereTheRulesOfTheOldOneDoNotFit) {
  EXPECT_THAT(
      bad(toml("[namespaces.user]\nkind = \"stream\"\npublish = \"server\"\n")),
      ElementsAre("t.toml:2: namespaces.user.kind: a channel of kind stream has no user of its own, but "
                  "namespaces.user.subscribe is \"user\" as long as it is not set"));
  good(toml("[namespaces.user]\nkind = \"stream\"\nsubscribe = \"authenticated\"\n"));
}

TEST(Load, ReportsAllProblemsAtOnce) {
  LoadInput input = toml(
      "[limits]\nburst = 0\nfoo = 1\n[auth]\ntimeout = \"x\"\njwks_url = \"ftp://x\"\n"
      "[namespaces.room]\nkind = \"strem\"\n");
  input.environment = {{"TIDEWIRE_HEARTBEAT_INTERVAL", "fast"}};
  input.flags = {{"--listen", "server.listen", "nowhere"}};
  EXPECT_THAT(
      bad(input),
      ElementsAre(HasSubstr("TIDEWIRE_HEARTBEAT_INTERVAL: heartbeat.interval"),
                  HasSubstr("flag --listen: server.listen: must be ADDRESS:PORT"), HasSubstr("t.toml:2:"),
                  HasSubstr("t.toml:3:"), HasSubstr("t.toml:5:"), HasSubstr("t.toml:6:"),
                  HasSubstr("t.toml:8: namespaces.room.kind: must be stream, document, session, inbox, "
                            "upload or agent (did you mean stream?)")));
}

TEST(Load, NamesTheLineOfBrokenToml) {
  EXPECT_THAT(bad(toml("[limits]\nburst = = 1\n")), ElementsAre(HasSubstr("t.toml:2: is not TOML: ")));
  EXPECT_THAT(bad(toml("[limits]\nburst = 1\nburst = 2\n")),
              ElementsAre(HasSubstr("t.toml:3: is not TOML: ")));
  EXPECT_THAT(bad(toml(std::string("[[\x02\0x]]\n", 7))), ElementsAre(HasSubstr("is not TOML")));
  EXPECT_THAT(bad(toml("[limits]\ncaf\xc3\xa9 = 1\n")),
              ElementsAre("t.toml:2: is not TOML: a character that may stand only in quotes"));
  EXPECT_THAT(bad(toml("\xff\xfe")), ElementsAre(HasSubstr("is not TOML")));
  EXPECT_THAT(bad(toml(std::string(2 << 20, '#'))), ElementsAre(HasSubstr("is larger than 1 MiB")));
  EXPECT_THAT(bad(toml("x = " + std::string(5000, '[') + std::string(5000, ']'))),
              ElementsAre(HasSubstr("t.toml:1: ")));
}

TEST(Load, AcceptsTheExampleButForItsMissingCertificate) {
  const auto loaded = load({.file = TIDEWIRE_SOURCE_DIR "/deploy/tidewire.toml.example"});
  ASSERT_FALSE(loaded.has_value());
  for (const ConfigProblem& problem : loaded.error())
    EXPECT_THAT(problem.to_string(), HasSubstr("server.tls_")) << problem.to_string();
}

TEST(Load, ChangesBuiltInNamespacesFieldByField) {
  const auto spaces =
      good(toml("[namespaces.room]\nhistory_messages = 7\n[namespaces.log]\npresence = true\n"))
          .settings.namespaces;
  NamespaceSettings room = builtin_namespaces().at("room");
  room.history_messages = 7;
  EXPECT_EQ(spaces.at("room"), room);
  EXPECT_TRUE(spaces.at("log").presence);
  EXPECT_EQ(spaces.at("log").durability, Durability::disk);
  EXPECT_EQ(spaces.size(), builtin_namespaces().size());
}

TEST(Load, BeginsANewNamespaceAsTheBuiltInOfItsKind) {
  const auto spaces = good(toml("[namespaces.chat]\nkind = \"session\"\njoin = \"open\"\n[namespaces.plain]\n"
                                "[namespaces.\"a.b\"]\nkind = \"document\"\nconflate_ms = 5\n"))
                          .settings.namespaces;
  NamespaceSettings chat = builtin_namespaces().at("session");
  chat.join = JoinRule::open;
  EXPECT_EQ(spaces.at("chat"), chat);
  EXPECT_EQ(spaces.at("plain").kind, Kind::stream);
  EXPECT_EQ(spaces.at("plain").subscribe, Access::authenticated);
  EXPECT_EQ(spaces.at("plain").history_messages, 100);
  EXPECT_EQ(spaces.at("a.b").conflate_ms, 5);
}

TEST(Load, ReadsNamespacesAndTenantsFromTheEnvironment) {
  LoadInput input = toml("[namespaces.my-room]\nkind = \"stream\"\n[tenants.Acme]\nhs256_secret = \"x\"\n");
  input.environment = {{"TIDEWIRE_NAMESPACES_ROOM_HISTORY_MESSAGES", "500"},
                       {"TIDEWIRE_NAMESPACES_MY_ROOM_PRIORITY", "high"},
                       {"TIDEWIRE_NAMESPACES_RUNS_KIND", "agent"},
                       {"TIDEWIRE_TENANTS_ACME_LIMITS_BURST", "6"},
                       {"TIDEWIRE_TENANTS_ACME_HOSTS", "Acme.example,www.ACME.example"},
                       {"TIDEWIRE_TENANTS_ACME_API_KEY", "tw_acme"}};
  const Settings s = good(input).settings;
  EXPECT_EQ(s.namespaces.at("room").history_messages, 500);
  EXPECT_EQ(s.namespaces.at("my-room").priority, Priority::high);
  EXPECT_EQ(s.namespaces.at("runs").publish, Access::creator);
  EXPECT_EQ(s.tenants.size(), 1u);
  EXPECT_EQ(s.tenants.at("Acme").limits.burst, 6);
  EXPECT_EQ(s.tenants.at("Acme").api_key, "tw_acme");
  EXPECT_THAT(s.tenants.at("Acme").hosts, ElementsAre("acme.example", "www.acme.example"));
}

TEST(Load, RefusesAVariableThatMayMeanTwoNames) {
  LoadInput input = toml("[namespaces.a-b]\n[namespaces.a_b]\n");
  input.environment = {{"TIDEWIRE_NAMESPACES_A_B_KIND", "stream"}};
  EXPECT_THAT(bad(input), ElementsAre(HasSubstr("may mean \"a-b\" or \"a_b\"")));
}

TEST(Load, GivesATenantTheGlobalLimitsThatItDoesNotSet) {
  LoadInput input =
      toml("[tenants.acme]\nhs256_secret = \"x\"\n[tenants.acme.limits]\nburst = 3\n[limits]\nburst = 5\n");
  input.environment = {{"TIDEWIRE_LIMITS_CHANNELS", "12"}};
  const TenantSettings tenant = good(input).settings.tenants.at("acme");
  EXPECT_EQ(tenant.limits.burst, 3);
  EXPECT_EQ(tenant.limits.channels, 12);
  EXPECT_EQ(tenant.limits.messages_per_minute, 100);
  EXPECT_THAT(bad(toml("[tenants.acme.limits]\nfragments = 1\n")),
              ElementsAre(HasSubstr("t.toml:2: tenants.acme.limits.fragments: is not a setting")));
  EXPECT_THAT(bad(toml("[tenants.acme]\nlimits = 1\n")),
              ElementsAre(HasSubstr("tenants.acme.limits: must be a table")));
}

TEST(Load, ReadsStaticKeysAndApiKeys) {
  const Settings s = good(toml(R"(
[[auth.keys]]
alg = "HS512"
kid = "a"
secret = "xyz"
[[api.keys]]
key = "tw_one"
scopes = ["read", "admin"]
[[api.keys]]
key = "tw_two"
scopes = ["publish"]
tenant = "acme"
[tenants.acme]
api_key = "tw_three"
[[tenants.acme.keys]]
alg = "HS256"
secret = "s"
)"))
                         .settings;
  EXPECT_EQ(s.auth.keys, (std::vector<KeySettings>{{"HS512", "a", "xyz", ""}}));
  EXPECT_EQ(s.tenants.at("acme").keys, (std::vector<KeySettings>{{"HS256", "", "s", ""}}));
  const std::vector<ApiScope> all{ApiScope::publish, ApiScope::read, ApiScope::admin};
  EXPECT_EQ(all_api_keys(s),
            (std::vector<ApiKeySettings>{{"tw_one", {ApiScope::read, ApiScope::admin}, "default"},
                                         {"tw_two", {ApiScope::publish}, "acme"},
                                         {"tw_three", all, "acme"}}));
}

TEST(Load, ReadsArraysOfTablesFromTheEnvironmentAsInToml) {
  const Settings s =
      good(variables({{"TIDEWIRE_AUTH_KEYS", R"([{alg = "HS256", secret = "s"}])"},
                      {"TIDEWIRE_API_KEYS",
                       R"([{key = "tw_a", scopes = ["read"]}, {key = "tw_b", scopes = ["admin"]}])"}}))
          .settings;
  EXPECT_EQ(s.auth.keys.size(), 1u);
  EXPECT_EQ(s.api.keys.size(), 2u);
  EXPECT_THAT(bad(variables({{"TIDEWIRE_API_KEYS", "tw_a,tw_b"}})),
              ElementsAre(HasSubstr("must be an array of inline tables")));
  EXPECT_THAT(bad(variables({{"TIDEWIRE_API_KEYS", "[]\n[server]\nshards=1"}})),
              ElementsAre(HasSubstr("must be an array of inline tables")));
}

TEST(LoadDevelopment, OpensTheServerOnLoopback) {
  const Settings s = good({.dev = true}).settings;
  EXPECT_TRUE(s.development);
  EXPECT_FALSE(s.auth.required);
  EXPECT_THAT(s.server.allowed_origins, ElementsAre("*"));
  EXPECT_EQ(s.limits.messages_per_minute, 1000);
  EXPECT_EQ(s.limits.burst, 50);
  EXPECT_EQ(s.limits.penalty_ms, 5000);
  EXPECT_EQ(s.auth.attempts_penalty_ms, 5000);
  EXPECT_TRUE(s.admin.enabled);
  EXPECT_TRUE(s.demo.enabled);
  EXPECT_EQ(s.auth.hs256_secret, "development-secret-not-for-production");
  EXPECT_EQ(s.api.key, "tw_dev");
}

TEST(LoadDevelopment, DiffersFromProductionInNothingElse) {
  Settings s = default_settings(true);
  const Settings production = default_settings(false);
  s.development = false;
  s.auth.required = true;
  s.server.allowed_origins.clear();
  s.limits.messages_per_minute = 100;
  s.limits.burst = 10;
  s.limits.penalty_ms = 60'000;
  s.auth.attempts_penalty_ms = 60'000;
  s.admin.enabled = s.demo.enabled = false;
  EXPECT_EQ(s, production);
}

TEST(LoadDevelopment, KeepsWhatIsConfigured) {
  LoadInput input = toml(
      "[auth]\nrequired = true\njwks_url = \"https://id.example/jwks\"\n[limits]\nburst = 2\n"
      "[[api.keys]]\nkey = \"tw_mine\"\nscopes = [\"read\"]\n");
  input.dev = true;
  const Settings s = good(input).settings;
  EXPECT_TRUE(s.auth.required);
  EXPECT_EQ(s.limits.burst, 2);
  EXPECT_EQ(s.auth.hs256_secret, "");
  EXPECT_EQ(s.api.key, "");
}

TEST(LoadSupabase, FindsTheKeySetBelowTheIssuer) {
  const std::string issuer = "issuer = \"https://p.supabase.co/auth/v1\"\n";
  const Settings s =
      good(toml("[auth]\npreset = \"supabase\"\n" + issuer + "[tenants.a]\n" + issuer)).settings;
  EXPECT_EQ(s.auth.jwks_url, "https://p.supabase.co/auth/v1/.well-known/jwks.json");
  EXPECT_EQ(s.tenants.at("a").jwks_url, s.auth.jwks_url);
  EXPECT_EQ(good(toml("[auth]\n" + issuer)).settings.auth.jwks_url, "");
  const std::string secret = "hs256_secret = \"a-secret-of-a-project-of-more-than-32-bytes\"\n";
  EXPECT_EQ(good(toml("[auth]\npreset = \"supabase\"\n" + issuer + secret)).settings.auth.jwks_url, "");
}

TEST(LoadSupabase, NamesTheIssuerWhereTheKeySetBelowItCannotBeFetched) {
  EXPECT_THAT(bad(toml("[auth]\npreset = \"supabase\"\nissuer = \"http://p.example/auth\"\n")),
              ElementsAre("t.toml:3: auth.issuer: plain http is allowed to loopback only; use https"));
}

TEST(LoadDevelopment, RefusesToListenOnAnythingButLoopback) {
  for (const char* address : {"0.0.0.0:8080", "[::]:8080", "192.168.1.1:80"})
    EXPECT_THAT(
        bad({.flags = {{"--listen", "server.listen", address}}, .dev = true}),
        ElementsAre("flag --listen: server.listen: the development profile listens on loopback only"));
  for (const char* address : {"127.0.0.1:0", "[::1]:8080", "localhost:1", "127.3.2.1:5"})
    good({.flags = {{"--listen", "server.listen", address}}, .dev = true});
}

TEST(Load, ReadsTheProcessEnvironment) {
  ::setenv("TIDEWIRE_LOAD_TEST", "a=b", 1);
  EXPECT_THAT(read_environment(), Contains(std::pair<std::string, std::string>("TIDEWIRE_LOAD_TEST", "a=b")));
  ::unsetenv("TIDEWIRE_LOAD_TEST");
}

}  // namespace
}  // namespace tidewire::config
