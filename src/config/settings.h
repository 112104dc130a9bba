// Every setting of the server as typed values: what spec/settings.json lists, in nested structs.
//
// A plain value: load() makes one, and nothing changes it afterwards; a reload makes another one and
// compares the two. Durations are milliseconds (`_ms`), sizes bytes. Protocol §9.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tidewire::config {

enum class Kind : std::uint8_t { stream, document, session, inbox, upload, agent };
enum class Durability : std::uint8_t { memory, disk };
// Who may subscribe or publish without a grant. `user` is the inbox's own user.
enum class Access : std::uint8_t { anyone, authenticated, server, user, creator, member, nobody };
enum class Priority : std::uint8_t { critical, high, medium, low };
enum class ContentPolicy : std::uint8_t { off, flag, reject };
enum class JoinRule : std::uint8_t { invite, open };
enum class Compression : std::uint8_t { shared, dedicated, off };
enum class RejectStyle : std::uint8_t { close, http };
enum class AuthPreset : std::uint8_t { none, supabase };
enum class ApiScope : std::uint8_t { publish, read, admin };
enum class AnomalyAction : std::uint8_t { off, report, slow, refuse };
enum class AnomalyMethod : std::uint8_t { robust, two_sigma };
enum class LogLevel : std::uint8_t { trace, debug, info, warn, error };
enum class LogFormat : std::uint8_t { text, json };

struct KeySettings {
  std::string alg;     // "HS256" ... "EdDSA"
  std::string kid;     // empty: none
  std::string secret;  // HS* only
  std::string file;    // PEM or JWK; exactly one of secret and file is set
  friend bool operator==(const KeySettings&, const KeySettings&) = default;
};

struct ApiKeySettings {
  std::string key;
  std::vector<ApiScope> scopes;
  std::string tenant;
  friend bool operator==(const ApiKeySettings&, const ApiKeySettings&) = default;
};

struct ServerSettings {
  std::string listen;  // parse_listen_address() in config/address.h takes it apart
  std::int64_t shards = 0;
  std::string tls_cert;  // both set: TLS is on
  std::string tls_key;
  std::vector<std::string> allowed_origins;  // {"*"}: all; empty: the request's own host
  std::int64_t drain_timeout_ms = 0;
  std::int64_t write_timeout_ms = 0;
  std::int64_t close_timeout_ms = 0;
  std::int64_t header_timeout_ms = 0;
  std::int64_t idle_timeout_ms = 0;
  std::vector<std::string> trusted_proxies;  // addresses or networks in CIDR form
  friend bool operator==(const ServerSettings&, const ServerSettings&) = default;
};

struct StoreSettings {
  std::string path;
  friend bool operator==(const StoreSettings&, const StoreSettings&) = default;
};

struct EngineSettings {
  std::string url;  // "embedded"
  friend bool operator==(const EngineSettings&, const EngineSettings&) = default;
};

struct AuthSettings {
  bool required = false;
  std::int64_t timeout_ms = 0;
  std::string hs256_secret;
  std::string jwks_url;
  std::int64_t jwks_refresh_ms = 0;
  std::int64_t jwks_min_refresh_ms = 0;
  std::string issuer;
  std::string audience;
  AuthPreset preset = AuthPreset::none;
  std::int64_t leeway_ms = 0;
  bool require_exp = false;
  RejectStyle reject = RejectStyle::close;
  std::vector<std::string> anonymous_capabilities;
  std::string user_claim;
  std::string type_claim;
  std::string name_claim;
  std::int64_t attempts_per_minute = 0;
  std::int64_t attempts_penalty_ms = 0;
  std::vector<KeySettings> keys;
  friend bool operator==(const AuthSettings&, const AuthSettings&) = default;
};

struct DirectorySettings {
  std::string url;
  std::string query;
  std::string secret;
  std::int64_t timeout_ms = 0;
  std::int64_t cache_ttl_ms = 0;
  std::int64_t absent_ttl_ms = 0;
  std::int64_t stale_ttl_ms = 0;
  std::int64_t cache_entries = 0;
  std::int64_t rechecks_per_second = 0;
  friend bool operator==(const DirectorySettings&, const DirectorySettings&) = default;
};

struct ApiSettings {
  std::string key;
  std::vector<ApiKeySettings> keys;
  friend bool operator==(const ApiSettings&, const ApiSettings&) = default;
};

struct LimitSettings {
  std::int64_t messages_per_minute = 0;
  std::int64_t burst = 0;
  std::int64_t penalty_ms = 0;
  bool adaptive = false;
  bool dry_run = false;
  std::int64_t malformed_per_minute = 0;
  std::int64_t json_depth = 0;
  std::int64_t channels = 0;
  std::int64_t idempotency_window_ms = 0;
  std::int64_t fragments = 0;
  std::int64_t message_timeout_ms = 0;
  std::int64_t frames_per_second = 0;        // 0: off
  std::int64_t connections = 0;              // 0: no limit
  std::int64_t connections_per_user = 0;     // 0: no limit
  std::int64_t connections_per_address = 0;  // 0: no limit
  std::int64_t message_bytes = 0;
  std::int64_t outbound_bytes = 0;
  friend bool operator==(const LimitSettings&, const LimitSettings&) = default;
};

struct CompressionSettings {
  Compression mode = Compression::shared;
  std::int64_t min_bytes = 0;
  friend bool operator==(const CompressionSettings&, const CompressionSettings&) = default;
};

struct HeartbeatSettings {
  std::int64_t interval_ms = 0;
  friend bool operator==(const HeartbeatSettings&, const HeartbeatSettings&) = default;
};

struct HealthSettings {
  std::int64_t interval_ms = 0;
  std::int64_t max_latency_ms = 0;
  double max_error_rate = 0;
  friend bool operator==(const HealthSettings&, const HealthSettings&) = default;
};

struct OverloadSettings {
  std::int64_t max_lag_ms = 0;  // 0: not looked at
  std::int64_t max_memory = 0;  // bytes; 0: not looked at
  friend bool operator==(const OverloadSettings&, const OverloadSettings&) = default;
};

struct InboxSettings {
  std::int64_t ttl_ms = 0;
  std::int64_t max_entries = 0;
  friend bool operator==(const InboxSettings&, const InboxSettings&) = default;
};

struct PresenceSettings {
  std::int64_t grace_ms = 0;
  friend bool operator==(const PresenceSettings&, const PresenceSettings&) = default;
};

struct CircuitSettings {
  std::int64_t failures = 0;
  std::int64_t probes = 0;
  std::int64_t open_ms = 0;
  friend bool operator==(const CircuitSettings&, const CircuitSettings&) = default;
};

struct AnomalySettings {
  AnomalyAction action = AnomalyAction::report;
  AnomalyMethod method = AnomalyMethod::robust;
  std::int64_t hold_ms = 0;
  friend bool operator==(const AnomalySettings&, const AnomalySettings&) = default;
};

struct WebhookSettings {
  std::string url;
  std::string secret;
  std::vector<std::string> events;  // empty: all
  std::int64_t timeout_ms = 0;
  std::int64_t max_age_ms = 0;
  bool allow_private = false;
  friend bool operator==(const WebhookSettings&, const WebhookSettings&) = default;
};

struct MetricsSettings {
  bool is_public = false;
  friend bool operator==(const MetricsSettings&, const MetricsSettings&) = default;
};

struct PageSettings {
  bool enabled = false;
  friend bool operator==(const PageSettings&, const PageSettings&) = default;
};

struct LogSettings {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::text;
  friend bool operator==(const LogSettings&, const LogSettings&) = default;
};

struct TenantSettings {
  std::vector<std::string> hosts;
  std::string hs256_secret;
  std::vector<KeySettings> keys;
  std::string jwks_url;
  std::string issuer;
  std::string audience;
  std::string api_key;
  LimitSettings limits;  // complete: what the tenant does not set is as in Settings::limits
  friend bool operator==(const TenantSettings&, const TenantSettings&) = default;
};

struct NamespaceSettings {
  Kind kind = Kind::stream;
  Durability durability = Durability::memory;
  std::int64_t history_messages = 0;  // 0: none is kept
  std::int64_t history_ttl_ms = 0;    // 0: no limit
  Access subscribe = Access::authenticated;
  Access publish = Access::authenticated;
  bool presence = false;
  Priority priority = Priority::medium;
  std::int64_t conflate_ms = 0;  // 0: off
  ContentPolicy content_policy = ContentPolicy::off;
  JoinRule join = JoinRule::invite;
  std::int64_t idle_timeout_ms = 0;
  friend bool operator==(const NamespaceSettings&, const NamespaceSettings&) = default;
};

struct Settings {
  bool development = false;  // --dev
  ServerSettings server;
  StoreSettings store;
  EngineSettings engine;
  AuthSettings auth;
  DirectorySettings directory;
  ApiSettings api;
  LimitSettings limits;
  CompressionSettings compression;
  HeartbeatSettings heartbeat;
  HealthSettings health;
  OverloadSettings overload;
  InboxSettings inbox;
  PresenceSettings presence;
  CircuitSettings circuit;
  AnomalySettings anomaly;
  WebhookSettings webhooks;
  MetricsSettings metrics;
  PageSettings admin;
  PageSettings demo;
  LogSettings log;
  std::map<std::string, TenantSettings, std::less<>> tenants;  // without `default`
  std::map<std::string, NamespaceSettings, std::less<>> namespaces;
  friend bool operator==(const Settings&, const Settings&) = default;

  bool tls() const { return !server.tls_cert.empty() && !server.tls_key.empty(); }
};

// The settings of a server that nothing configures, in the production or the development profile.
Settings default_settings(bool development = false);

// Every API key: api.key and tenants.NAME.api_key with all scopes, and api.keys.
std::vector<ApiKeySettings> all_api_keys(const Settings& settings);

// The namespaces that exist without configuration. Protocol §7.
std::map<std::string, NamespaceSettings, std::less<>> builtin_namespaces();

}  // namespace tidewire::config
