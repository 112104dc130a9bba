// The defaults, one by one as protocol §7 and §9 give them, and the table as a whole.
#include "config/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "config/load.h"
#include "config/print.h"
#include "config/reload.h"
#include "config/schema.h"

namespace tidewire::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

TEST(Defaults, AreThoseOfTheProtocol) {
  const Settings s = default_settings();
  EXPECT_FALSE(s.development);
  EXPECT_EQ(s.server.listen, "127.0.0.1:8080");
  EXPECT_EQ(s.server.shards, 0);
  EXPECT_EQ(s.server.tls_cert, "");
  EXPECT_EQ(s.server.tls_key, "");
  EXPECT_FALSE(s.tls());
  EXPECT_THAT(s.server.allowed_origins, IsEmpty());
  EXPECT_EQ(s.server.drain_timeout_ms, 30'000);
  EXPECT_EQ(s.server.write_timeout_ms, 60'000);
  EXPECT_EQ(s.server.close_timeout_ms, 5'000);
  EXPECT_EQ(s.server.header_timeout_ms, 10'000);
  EXPECT_EQ(s.server.idle_timeout_ms, 60'000);
  EXPECT_THAT(s.server.trusted_proxies, IsEmpty());
  EXPECT_EQ(s.store.path, "./tidewire-data");
  EXPECT_EQ(s.engine.url, "embedded");
  EXPECT_TRUE(s.auth.required);
  EXPECT_EQ(s.auth.timeout_ms, 10'000);
  EXPECT_EQ(s.auth.hs256_secret, "");
  EXPECT_EQ(s.auth.jwks_url, "");
  EXPECT_EQ(s.auth.issuer, "");
  EXPECT_EQ(s.auth.audience, "");
  EXPECT_THAT(s.auth.keys, IsEmpty());
  EXPECT_EQ(s.auth.jwks_refresh_ms, 900'000);
  EXPECT_EQ(s.auth.jwks_min_refresh_ms, 5'000);
  EXPECT_EQ(s.auth.preset, AuthPreset::none);
  EXPECT_EQ(s.auth.leeway_ms, 0);
  EXPECT_FALSE(s.auth.require_exp);
  EXPECT_EQ(s.auth.reject, RejectStyle::close);
  EXPECT_THAT(s.auth.anonymous_capabilities, ElementsAre("messaging"));
  EXPECT_EQ(s.auth.user_claim, "sub");
  EXPECT_EQ(s.auth.type_claim, "type");
  EXPECT_EQ(s.auth.attempts_per_minute, 10);
  EXPECT_EQ(s.auth.attempts_penalty_ms, 60'000);
  EXPECT_EQ(s.directory.url, "");
  EXPECT_THAT(s.tenants, IsEmpty());
  EXPECT_EQ(s.api.key, "");
  EXPECT_THAT(s.api.keys, IsEmpty());
  EXPECT_EQ(s.limits.messages_per_minute, 100);
  EXPECT_EQ(s.limits.burst, 10);
  EXPECT_EQ(s.limits.penalty_ms, 60'000);
  EXPECT_TRUE(s.limits.adaptive);
  EXPECT_EQ(s.limits.malformed_per_minute, 20);
  EXPECT_EQ(s.limits.json_depth, 64);
  EXPECT_EQ(s.limits.channels, 1000);
  EXPECT_EQ(s.limits.idempotency_window_ms, 300'000);
  EXPECT_EQ(s.limits.fragments, 1024);
  EXPECT_EQ(s.limits.message_timeout_ms, 30'000);
  EXPECT_EQ(s.limits.frames_per_second, 200);
  EXPECT_EQ(s.compression.mode, Compression::shared);
  EXPECT_EQ(s.compression.min_bytes, 256);
  EXPECT_EQ(s.limits.connections, 0);
  EXPECT_EQ(s.limits.connections_per_user, 0);
  EXPECT_EQ(s.limits.connections_per_address, 0);
  EXPECT_EQ(s.limits.message_bytes, 1'048'576);
  EXPECT_EQ(s.limits.outbound_bytes, 1'048'576);
  EXPECT_EQ(s.heartbeat.interval_ms, 30'000);
  EXPECT_EQ(s.health.interval_ms, 30'000);
  EXPECT_EQ(s.health.max_latency_ms, 500);
  EXPECT_EQ(s.health.max_error_rate, 0.1);
  EXPECT_EQ(s.overload.max_lag_ms, 500);
  EXPECT_EQ(s.overload.max_memory, 0);
  EXPECT_EQ(s.inbox.ttl_ms, 3'600'000);
  EXPECT_EQ(s.inbox.max_entries, 1000);
  EXPECT_EQ(s.presence.grace_ms, 5'000);
  EXPECT_EQ(s.circuit.failures, 5);
  EXPECT_TRUE(s.metrics.is_public);
  EXPECT_FALSE(s.admin.enabled);
  EXPECT_FALSE(s.demo.enabled);
}

TEST(Defaults, HaveTheNamespacesOfTheProtocol) {
  struct Row {
    const char* name;
    Kind kind;
    Durability durability;
    Access subscribe;
    Access publish;
    bool presence;
  };
  using enum Access;
  constexpr Durability kMemory = Durability::memory, kDisk = Durability::disk;
  const Row rows[] = {{"default", Kind::stream, kMemory, authenticated, authenticated, true},
                      {"room", Kind::stream, kMemory, authenticated, authenticated, true},
                      {"public", Kind::stream, kMemory, anyone, server, false},
                      {"log", Kind::stream, kDisk, authenticated, authenticated, false},
                      {"doc", Kind::document, kDisk, authenticated, authenticated, true},
                      {"dashboard", Kind::document, kDisk, authenticated, server, false},
                      {"session", Kind::session, kDisk, member, member, true},
                      {"user", Kind::inbox, kDisk, user, server, false},
                      {"upload", Kind::upload, kMemory, creator, creator, false},
                      {"agent", Kind::agent, kDisk, creator, creator, false}};
  const auto spaces = builtin_namespaces();
  EXPECT_EQ(spaces.size(), std::size(rows));
  for (const Row& row : rows) {
    const NamespaceSettings& space = spaces.at(row.name);
    EXPECT_EQ(space.kind, row.kind) << row.name;
    EXPECT_EQ(space.durability, row.durability) << row.name;
    EXPECT_EQ(space.subscribe, row.subscribe) << row.name;
    EXPECT_EQ(space.publish, row.publish) << row.name;
    EXPECT_EQ(space.presence, row.presence) << row.name;
    EXPECT_EQ(space.priority, Priority::medium) << row.name;
    EXPECT_EQ(space.idle_timeout_ms, 60'000) << row.name;
    EXPECT_EQ(space.conflate_ms, std::string(row.name) == "dashboard" ? 100 : 0) << row.name;
    const bool flagged = std::string(row.name) == "room" || std::string(row.name) == "session";
    EXPECT_EQ(space.content_policy, flagged ? ContentPolicy::flag : ContentPolicy::off) << row.name;
    EXPECT_EQ(space.join, JoinRule::invite) << row.name;
    EXPECT_GT(space.history_messages, 0) << row.name;
  }
  constexpr std::int64_t kDay_ms = 86'400'000;
  for (const char* name : {"default", "room"}) {
    EXPECT_EQ(spaces.at(name).history_messages, 100);
    EXPECT_EQ(spaces.at(name).history_ttl_ms, 600'000);
  }
  EXPECT_EQ(spaces.at("log").history_messages, 100'000);
  EXPECT_EQ(spaces.at("log").history_ttl_ms, 7 * kDay_ms);
  EXPECT_EQ(spaces.at("session").history_ttl_ms, 30 * kDay_ms);
  EXPECT_EQ(spaces.at("agent").history_ttl_ms, 7 * kDay_ms);
}

TEST(Schema, NamesEveryKeyOnceWithAMeaning) {
  std::set<std::string_view> keys;
  for (const Field<Settings>& field : fields<Settings>()) {
    EXPECT_TRUE(keys.insert(field.key).second) << field.key;
    EXPECT_FALSE(field.meaning.empty()) << field.key;
  }
}

TEST(Schema, GivesEveryKeyAVariableOfItsOwn) {
  std::set<std::string> variables;
  for (const Field<Settings>& field : fields<Settings>()) {
    std::string form(field.key);
    for (char& c : form)
      if (c == '.') c = '_';
    EXPECT_TRUE(variables.insert(form).second) << field.key;
  }
  // So that NAME can be cut out of a variable in one way only.
  const auto no_suffixes = [](auto fields_of_owner) {
    for (const auto& a : fields_of_owner)
      for (const auto& b : fields_of_owner)
        EXPECT_FALSE(a.name.ends_with("_" + std::string(b.name))) << a.name << " ends with " << b.name;
  };
  no_suffixes(fields<NamespaceSettings>());
  no_suffixes(fields<TenantSettings>());
}

TEST(PrintDefaults, ListsEveryKeyWithUnitAndMeaningAsItsOwnConfiguration) {
  const std::string text = print_defaults();
  for (const Field<Settings>& field : fields<Settings>()) {
    EXPECT_THAT(text, HasSubstr("\n" + std::string(field.key) + " = "));
    EXPECT_THAT(text, HasSubstr("# " + std::string(field.meaning) + "\n"));
  }
  for (const Field<NamespaceSettings>& field : fields<NamespaceSettings>())
    EXPECT_THAT(text, HasSubstr("\n# " + std::string(field.key) + " = "));
  for (const Field<TenantSettings>& field : fields<TenantSettings>())
    EXPECT_THAT(text, HasSubstr("\n# " + std::string(field.key) + " = "));
  EXPECT_THAT(text, HasSubstr("\ninbox.ttl = \"3600s\"\n"));
  EXPECT_THAT(
      text,
      HasSubstr("(unit: duration; \"10ms\" to \"1h\"; needs a restart)\nheartbeat.interval = \"30s\"\n"));
  const auto loaded = load({.file = "defaults.toml", .text = text});
  ASSERT_TRUE(loaded.has_value()) << loaded.error().front().to_string();
  EXPECT_EQ(loaded->settings, default_settings());
}

TEST(PrintEffective, ShowsWhereValuesCameFromAndNoSecret) {
  const auto loaded = load({.file = "t.toml",
                            .text = R"(
[auth]
hs256_secret = "hidden-1"
keys = [{alg = "HS256", secret = "hidden-2"}]
[api]
key = "tw_hidden-3"
keys = [{key = "tw_hidden-4", scopes = ["read"]}]
[tenants.acme]
hs256_secret = "hidden-5"
api_key = "tw_hidden-6"
keys = [{alg = "HS256", secret = "hidden-7"}]
[directory]
url = "postgres://user:hidden-8@db.example/app?password=hidden-9"
secret = "hidden-10"
)",
                            .environment = {{"TIDEWIRE_LIMITS_BURST", "12"}}});
  ASSERT_TRUE(loaded.has_value()) << loaded.error().front().to_string();
  const std::string text = print_effective(*loaded);
  EXPECT_THAT(text, Not(HasSubstr("hidden")));
  EXPECT_THAT(text, HasSubstr("auth.hs256_secret = \"***\"  # t.toml:3\n"));
  EXPECT_THAT(text, HasSubstr("limits.burst = 12  # TIDEWIRE_LIMITS_BURST\n"));
  EXPECT_THAT(
      text, HasSubstr("directory.url = \"postgres://user:***@db.example/app?password=***\"  # t.toml:13\n"));
  EXPECT_THAT(text, HasSubstr("tenants.acme.limits.burst = 12\n"));
  EXPECT_THAT(text, HasSubstr("namespaces.room.kind = \"stream\"\n"));
  EXPECT_THAT(text, HasSubstr("auth.issuer = \"\"\n"));

  // With its secrets hidden it is no configuration any more, and says so for every one of them.
  const auto printed = load({.file = "printed.toml", .text = text});
  ASSERT_FALSE(printed.has_value());
  EXPECT_EQ(printed.error().size(), 9u);
  for (const ConfigProblem& problem : printed.error())
    EXPECT_THAT(problem.to_string(), HasSubstr("*** is what `config print` shows"));
}

TEST(Reload, SeesNothingWhereNothingChanged) {
  const Changes changes = compare(default_settings(), default_settings());
  EXPECT_TRUE(changes.empty());
}

TEST(Reload, TellsWhatCanBeReloadedFromWhatCannot) {
  const Settings running = default_settings();
  Settings fresh = running;
  fresh.limits.burst = 99;
  fresh.auth.hs256_secret = "x";
  fresh.server.allowed_origins = {"https://a.example"};
  fresh.server.tls_cert = "c.pem";
  fresh.log.level = LogLevel::debug;
  fresh.server.listen = "127.0.0.1:1";
  fresh.store.path = "elsewhere";
  fresh.namespaces.at("room").history_messages = 1;
  fresh.namespaces.erase("upload");
  fresh.namespaces["new"] = {};
  fresh.tenants["acme"] = {};
  const Changes changes = compare(running, fresh);
  EXPECT_THAT(changes.reloadable,
              UnorderedElementsAre("limits.burst", "auth.hs256_secret", "server.allowed_origins",
                                   "server.tls_cert", "log.level", "namespaces.room.history_messages",
                                   "namespaces.upload", "namespaces.new"));
  EXPECT_THAT(changes.needs_restart, UnorderedElementsAre("server.listen", "store.path", "tenants.acme"));

  const Settings after = apply_reload(running, fresh);
  EXPECT_EQ(after.limits.burst, 99);
  EXPECT_EQ(after.namespaces, fresh.namespaces);
  EXPECT_TRUE(after.tenants.empty());
  EXPECT_EQ(after.server.listen, "127.0.0.1:8080");
  EXPECT_EQ(after.store.path, "./tidewire-data");
  EXPECT_THAT(compare(after, fresh).reloadable, IsEmpty());
}

// A tenant is known by its place among the others everywhere in the server.
TEST(Reload, NeverMovesATenant) {
  Settings running = default_settings(), fresh = default_settings();
  TenantSettings tenant;
  tenant.hosts = {"old.example"};
  tenant.api_key = "tw_old";
  for (const char* name : {"b", "d"}) running.tenants[name] = tenant;
  tenant.api_key = "tw_new";
  for (const char* name : {"a", "c", "d"}) fresh.tenants[name] = tenant;
  const Settings after = apply_reload(running, fresh);
  ASSERT_EQ(after.tenants.size(), 2u);
  EXPECT_EQ(after.tenants.at("b").api_key, "") << "gone, and so is who could come in";
  EXPECT_TRUE(after.tenants.at("b").hosts.empty());
  EXPECT_EQ(after.tenants.at("d").api_key, "tw_new");
  EXPECT_THAT(compare(running, fresh).needs_restart, UnorderedElementsAre("tenants.a", "tenants.c"));
}

TEST(Reload, LeavesDurabilityAsItIs) {
  const Settings running = default_settings();
  Settings fresh = running;
  fresh.namespaces.at("room").durability = Durability::disk;
  fresh.namespaces.at("room").history_messages = 7;
  const Changes changes = compare(running, fresh);
  EXPECT_THAT(changes.needs_restart, UnorderedElementsAre("namespaces.room.durability"));
  EXPECT_THAT(changes.reloadable, UnorderedElementsAre("namespaces.room.history_messages"));
  const NamespaceSettings after = apply_reload(running, fresh).namespaces.at("room");
  EXPECT_EQ(after.durability, Durability::memory) << "channels that are open would not be stored";
  EXPECT_EQ(after.history_messages, 7);
}

TEST(Reload, TurnsTlsNeitherOnNorOff) {
  Settings plain = default_settings(), safe = plain, renewed = plain;
  safe.server.tls_cert = safe.server.tls_key = "old.pem";
  renewed.server.tls_cert = renewed.server.tls_key = "new.pem";
  for (const auto& [running, fresh] : {std::pair(&plain, &safe), std::pair(&safe, &plain)}) {
    const Changes changes = compare(*running, *fresh);
    EXPECT_THAT(changes.needs_restart, UnorderedElementsAre("server.tls_cert", "server.tls_key"));
    EXPECT_THAT(changes.reloadable, IsEmpty());
    EXPECT_EQ(apply_reload(*running, *fresh).server.tls_cert, running->server.tls_cert);
  }
  EXPECT_THAT(compare(safe, renewed).reloadable, UnorderedElementsAre("server.tls_cert", "server.tls_key"));
  EXPECT_EQ(apply_reload(safe, renewed).server.tls_key, "new.pem");
}

TEST(Reload, LeavesANamespaceAsItIsWhereItWouldBeOfAnotherKind) {
  const Settings running = default_settings();
  Settings fresh = running;
  fresh.namespaces.at("room").kind = Kind::session;
  fresh.namespaces.at("room").subscribe = Access::member;
  const Changes changes = compare(running, fresh);
  EXPECT_THAT(changes.needs_restart, UnorderedElementsAre("namespaces.room.kind"));
  EXPECT_THAT(changes.reloadable, IsEmpty());
  EXPECT_EQ(apply_reload(running, fresh).namespaces, running.namespaces);
}

}  // namespace
}  // namespace tidewire::config
