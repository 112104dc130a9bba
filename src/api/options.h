// What the HTTP API is told by the configuration, and what it asks of the server around it.
//
// Plain values; a reload hands in a new set.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "guard/circuits.h"
#include "guard/connection_health.h"
#include "hub/types.h"

namespace tidewire::telemetry {
class Snapshot;
}

namespace tidewire::api {

enum class Scope : std::uint8_t { publish = 1, read = 2, admin = 4 };
inline constexpr std::uint8_t kAllScopes = 7;

struct ApiKey {
  std::string key;                   // begins with tw_
  std::uint8_t scopes = kAllScopes;  // bits of Scope
  hub::TenantId tenant = 0;
};

struct Options {
  std::vector<ApiKey> keys;
  std::vector<std::string> allowed_origins;  // as wire::origin_allowed() takes them
  bool metrics_public = true;
  bool demo_enabled = false;
  std::string demo_secret;  // signs the tokens of /demo/token (HS256); empty: there are none
  bool admin_enabled = false;
  std::string version;
  std::size_t batch_bytes = std::size_t{16} << 20;
  std::size_t batch_entries = 1000;
  guard::HealthLimits health = {};
};

// A part of the server as /api/health/detailed shows it.
enum class ComponentState : std::uint8_t { off, ok, degraded, failed };

struct Component {
  std::string name;  // listener, store, engine, directory, webhooks or circuits
  ComponentState state = ComponentState::ok;
  std::optional<double> latency_ms;
  std::string detail;  // for an operator; empty: nothing to say
};

struct Health {
  bool draining = false;
  std::vector<Component> components;  // what is not in here is off
};

// The breakers around what the server depends on, and how they changed, oldest first.
struct CircuitReport {
  std::vector<guard::CircuitBoard::Row> circuits;
  std::vector<guard::CircuitHistory::Event> history;
};

// Each may be empty, which is said where it matters. Called on the router's thread.
struct Hooks {
  // Without it: not draining, everything off.
  std::function<Health()> health;
  // The tenant of a user's token, as for a WebSocket (protocol §9 `tenants`); without it `default`.
  std::function<hub::TenantId(std::string_view host, std::string_view token)> find_tenant;
  // Fetches the tenant's JWKS; Router::keys_changed() must follow, whatever comes of it. Without it a
  // token whose key is not known is refused.
  std::function<void(hub::TenantId)> fetch_keys;
  // Asks the user directory; Router::user_answered() must follow. Without it, `unavailable` where nothing
  // is known of a user.
  std::function<void(hub::TenantId, const std::string& user_id)> ask_user;
  // Makes a revocation outlive a restart, then calls `done` on the router's thread; hub::RevokeUser, asked of
  // all shards behind it, puts it in force. Without it revoking is `unavailable`.
  std::function<void(hub::TenantId, std::string_view user, std::int64_t before_ms,
                     std::function<void(Result<void>)> done)>
      revoke;
  // Circuits with their changes since a moment; without it there are none.
  std::function<CircuitReport(std::int64_t since_unix_ms)> circuits;
  // The time, mono, as of this very call; without it everything is answered at once.
  std::function<std::int64_t()> clock_us;
  // Adds what the server measures beside the hub to /metrics; names begin with tidewire_.
  std::function<void(telemetry::Snapshot&)> add_metrics;
};

}  // namespace tidewire::api
