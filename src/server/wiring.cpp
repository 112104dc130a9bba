#include "server/wiring.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "auth/jwk.h"
#include "base/check.h"
#include "base/ip_address.h"

namespace tidewire::server {

namespace {

hub::TenantLimits tenant_limits(const config::LimitSettings& limits, const config::AuthSettings& auth,
                                std::int64_t node_connections) {
  return {.guard = {.messages_per_minute = limits.messages_per_minute,
                    .burst = limits.burst,
                    .penalty_ms = limits.penalty_ms,
                    .adaptive = limits.adaptive,
                    .dry_run = limits.dry_run,
                    .connections = node_connections,
                    .tenant_connections = limits.connections,
                    .connections_per_user = limits.connections_per_user,
                    .connections_per_address = limits.connections_per_address,
                    .malformed_per_minute = limits.malformed_per_minute,
                    .frames_per_second = limits.frames_per_second,
                    .attempts_per_minute = auth.attempts_per_minute,
                    .attempts_penalty_ms = auth.attempts_penalty_ms},
          .message_bytes = static_cast<std::size_t>(limits.message_bytes),
          .json_depth = static_cast<int>(limits.json_depth),
          .channels = static_cast<std::size_t>(limits.channels)};
}

// `owner`: "auth." or "tenants.NAME.".
std::expected<std::vector<auth::Key>, config::ConfigProblem> static_keys(
    const std::string& owner, const std::string& hs256_secret, const std::vector<config::KeySettings>& keys) {
  std::vector<auth::Key> out;
  const auto wrong = [&](const std::string& key, std::string message) {
    return std::unexpected(
        config::ConfigProblem{.key = owner + key, .source = {}, .line = 0, .message = std::move(message)});
  };
  if (!hs256_secret.empty()) {
    auto key = auth::Key::from_secret({}, auth::Algorithm::HS256, hs256_secret);
    if (!key) return wrong("hs256_secret", key.error());
    out.push_back(std::move(*key));
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const config::KeySettings& setting = keys[i];
    const std::string name = fmt::format("keys[{}].{}", i, setting.file.empty() ? "secret" : "file");
    std::string text;
    if (!setting.file.empty()) {
      std::ifstream file(setting.file, std::ios::binary);
      if (!file) return wrong(name, fmt::format("the file \"{}\" cannot be read", setting.file));
      text.assign(std::istreambuf_iterator<char>(file), {});
    }
    auto key = auth::parse_static_key(
        {.alg = setting.alg, .kid = setting.kid, .secret = setting.secret, .text = std::move(text)});
    if (!key) return wrong(name, key.error());
    out.push_back(std::move(*key));
  }
  return out;
}

guard::HealthLimits health_limits(const config::Settings& settings) {
  return {.max_latency_ms = settings.health.max_latency_ms,
          .max_error_rate = settings.health.max_error_rate,
          .quiet_looks = guard::HealthLimits::quiet_looks_of(settings.health.interval_ms,
                                                             settings.heartbeat.interval_ms)};
}

hub::Access access_of(config::Access access) {
  switch (access) {
    case config::Access::anyone:
      return hub::Access::anyone;
    case config::Access::authenticated:
      return hub::Access::authenticated;
    case config::Access::user:
      return hub::Access::user;
    case config::Access::creator:
    case config::Access::member:
      return hub::Access::owner;
    case config::Access::server:
    case config::Access::nobody:
      break;
  }
  return hub::Access::server;
}

wire::DeflateMode deflate_mode_of(config::Compression mode) {
  switch (mode) {
    case config::Compression::shared:
      return wire::DeflateMode::shared;
    case config::Compression::dedicated:
      return wire::DeflateMode::dedicated;
    case config::Compression::off:
      break;
  }
  return wire::DeflateMode::off;
}

// The settings may include no layer, and no layer them: where both have the same words in the same order, one
// is cast to the other. A word that only one of them gets would shift those behind it.
static_assert(static_cast<int>(config::Kind::agent) == static_cast<int>(hub::Kind::agent));
static_assert(static_cast<int>(config::Priority::low) == static_cast<int>(hub::Priority::low));
static_assert(static_cast<int>(config::ContentPolicy::reject) ==
              static_cast<int>(hub::ContentPolicy::reject));
static_assert(static_cast<int>(config::AnomalyAction::refuse) ==
              static_cast<int>(guard::AnomalyAction::refuse));
static_assert(static_cast<int>(config::AnomalyMethod::two_sigma) ==
              static_cast<int>(guard::AnomalyMethod::two_sigma));
static_assert(static_cast<int>(config::ApiScope::admin) == 2 &&
              static_cast<int>(api::Scope::admin) == 1 << 2);

}  // namespace

Seeds draw_seeds() {
  Seeds seeds;
  RAND_bytes(reinterpret_cast<unsigned char*>(&seeds.hash), sizeof seeds.hash);
  RAND_bytes(reinterpret_cast<unsigned char*>(&seeds.names), sizeof seeds.names);
  RAND_bytes(seeds.tokens.data(), static_cast<int>(seeds.tokens.size()));
  return seeds;
}

std::expected<std::vector<TenantPlan>, config::ConfigProblem> plan_tenants(const config::Settings& settings,
                                                                           const Seeds& seeds) {
  std::vector<TenantPlan> plans;
  const auto add = [&](const std::string& name,
                       const config::TenantSettings& tenant) -> std::expected<void, config::ConfigProblem> {
    const std::string owner = name == "default" ? "auth." : "tenants." + name + ".";
    auto keys = static_keys(owner, tenant.hs256_secret, tenant.keys);
    if (!keys) return std::unexpected(std::move(keys.error()));
    auth::VerifierOptions verifier{.tenant = name,
                                   .issuer = tenant.issuer,
                                   .audience = {},
                                   .leeway_ms = settings.auth.leeway_ms,
                                   .require_exp = settings.auth.require_exp,
                                   .user_claim = settings.auth.user_claim,
                                   .type_claim = settings.auth.type_claim,
                                   .name_claim = settings.auth.name_claim,
                                   .preset = settings.auth.preset == config::AuthPreset::supabase
                                                 ? auth::Preset::supabase
                                                 : auth::Preset::none,
                                   .digest_key = seeds.tokens};
    if (!tenant.audience.empty()) verifier.audience.push_back(tenant.audience);
    const auto jwks =
        tenant.jwks_url.empty() ? auth::JwksState::not_configured : auth::JwksState::never_fetched;
    plans.push_back({.name = name,
                     .hosts = tenant.hosts,
                     .jwks_url = tenant.jwks_url,
                     .limits = tenant_limits(tenant.limits, settings.auth, settings.limits.connections),
                     .verifier = std::move(verifier),
                     .keys = std::make_shared<const auth::KeyRing>(std::move(*keys), jwks)});
    return {};
  };
  const config::TenantSettings by_default{.hosts = {},
                                          .hs256_secret = settings.auth.hs256_secret,
                                          .keys = settings.auth.keys,
                                          .jwks_url = settings.auth.jwks_url,
                                          .issuer = settings.auth.issuer,
                                          .audience = settings.auth.audience,
                                          .api_key = {},
                                          .limits = settings.limits};
  if (auto added = add("default", by_default); !added) return std::unexpected(added.error());
  for (const auto& [name, tenant] : settings.tenants)
    if (auto added = add(name, tenant); !added) return std::unexpected(added.error());
  return plans;
}

std::vector<hub::Namespace> plan_namespaces(const config::Settings& settings) {
  std::vector<hub::Namespace> out;
  for (const auto& [name, setting] : settings.namespaces)
    out.push_back({.name = name,
                   .kind = static_cast<hub::Kind>(setting.kind),
                   .durability = setting.durability == config::Durability::disk ? hub::Durability::disk
                                                                                : hub::Durability::memory,
                   .history_messages = static_cast<std::size_t>(setting.history_messages),
                   .history_ttl_ms = setting.history_ttl_ms,
                   .subscribe = access_of(setting.subscribe),
                   .publish = access_of(setting.publish),
                   .presence = setting.presence,
                   .priority = static_cast<hub::Priority>(setting.priority),
                   .conflate_ms = setting.conflate_ms,
                   .open_join = setting.join == config::JoinRule::open,
                   .idle_timeout_ms = setting.idle_timeout_ms,
                   .content_policy = static_cast<hub::ContentPolicy>(setting.content_policy)});
  return out;
}

gateway::GatewayOptions gateway_options(const config::Settings& settings, bool echo) {
  gateway::GatewayOptions options{
      .echo = echo,
      .reject_with_http = settings.auth.reject == config::RejectStyle::http,
      .auth_required = settings.auth.required,
      .compression = deflate_mode_of(settings.compression.mode),
      .compression_min_bytes = static_cast<std::size_t>(settings.compression.min_bytes),
      .fragments = static_cast<std::uint32_t>(settings.limits.fragments),
      .outbound_bytes = static_cast<std::size_t>(settings.limits.outbound_bytes),
      .message_timeout_ms = settings.limits.message_timeout_ms,
      .heartbeat_ms = settings.heartbeat.interval_ms,
      .write_timeout_ms = settings.server.write_timeout_ms,
      .send_failures = settings.circuit.failures,
      .close_timeout_ms = settings.server.close_timeout_ms,
      .header_timeout_ms = settings.server.header_timeout_ms,
      .idle_timeout_ms = settings.server.idle_timeout_ms,
      .allowed_origins = settings.server.allowed_origins,
      .trusted_proxies = {}};
  if (options.allowed_origins.empty()) options.allowed_origins = {"same-host"};
  for (const std::string& text : settings.server.trusted_proxies) {
    const auto prefix = IpPrefix::parse(text);
    TIDEWIRE_CHECK(prefix);  // the configuration's check reads it in the same way
    options.trusted_proxies.push_back(*prefix);
  }
  return options;
}

hub::HomeOptions home_options(const config::Settings& settings, const Seeds& seeds,
                              const std::vector<TenantPlan>& tenants, hub::ShardId self,
                              hub::ShardId shards) {
  std::vector<std::string> names;
  for (const TenantPlan& tenant : tenants) names.push_back(tenant.name);
  return {.idempotency_window_ms = settings.limits.idempotency_window_ms,
          .presence_grace_ms = settings.presence.grace_ms,
          .inbox = {.ttl_ms = settings.inbox.ttl_ms,
                    .entries_max = static_cast<std::size_t>(settings.inbox.max_entries)},
          .self = self,
          .shards = shards,
          .hash_seed = seeds.hash,
          .tenants = std::move(names)};
}

hub::SessionOptions session_options(const config::Settings& settings, const Seeds& seeds, hub::ShardId self,
                                    hub::ShardId shards) {
  return {.self = self,
          .shards = shards,
          .hash_seed = seeds.hash,
          .auth_required = settings.auth.required,
          .auth_timeout_ms = settings.auth.timeout_ms,
          .heartbeat_ms = settings.heartbeat.interval_ms,
          .health_interval_ms = settings.health.interval_ms,
          .health = health_limits(settings),
          // A page is asked for when half of what may wait has been taken.
          .page_bytes = std::min<std::size_t>(static_cast<std::size_t>(settings.limits.outbound_bytes) / 2,
                                              hub::Home::kReplayBytes),
          .anonymous_capabilities = settings.auth.anonymous_capabilities,
          .anomaly = {.action = static_cast<guard::AnomalyAction>(settings.anomaly.action),
                      .method = static_cast<guard::AnomalyMethod>(settings.anomaly.method),
                      .hold_ms = settings.anomaly.hold_ms}};
}

guard::OverloadLimits overload_limits(const config::Settings& settings) {
  return {.max_lag_ms = settings.overload.max_lag_ms, .max_memory = settings.overload.max_memory};
}

api::Options api_options(const config::Settings& settings, const std::vector<TenantPlan>& tenants) {
  api::Options options{.keys = {},
                       .allowed_origins = settings.server.allowed_origins,
                       .metrics_public = settings.metrics.is_public,
                       .demo_enabled = settings.demo.enabled,
                       .demo_secret = settings.development ? settings.auth.hs256_secret : std::string(),
                       .admin_enabled = settings.admin.enabled,
                       .version = TIDEWIRE_VERSION,
                       .health = health_limits(settings)};
  if (options.allowed_origins.empty()) options.allowed_origins = {"same-host"};
  for (const config::ApiKeySettings& setting : config::all_api_keys(settings)) {
    const std::string& name = setting.tenant.empty() ? "default" : setting.tenant;
    const auto tenant = std::ranges::find(tenants, name, &TenantPlan::name);
    if (tenant == tenants.end()) continue;  // config::load() has refused it
    std::uint8_t scopes = 0;
    for (const config::ApiScope scope : setting.scopes)
      scopes = static_cast<std::uint8_t>(scopes | (1u << static_cast<unsigned>(scope)));
    options.keys.push_back({.key = setting.key,
                            .scopes = scopes,
                            .tenant = static_cast<hub::TenantId>(tenant - tenants.begin())});
  }
  return options;
}

}  // namespace tidewire::server
