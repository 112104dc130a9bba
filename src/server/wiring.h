// From settings to what each module takes: the one place where configuration becomes options.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/router.h"
#include "auth/key_ring.h"
#include "auth/verifier.h"
#include "config/problem.h"
#include "config/settings.h"
#include "gateway/gateway.h"
#include "hub/home.h"
#include "hub/sessions.h"
#include "hub/tenant.h"

namespace tidewire::server {

// A tenant as the configuration describes it, for making each shard's own.
struct TenantPlan {
  std::string name;
  std::vector<std::string> hosts;
  std::string jwks_url;
  hub::TenantLimits limits;
  auth::VerifierOptions verifier;
  std::shared_ptr<const auth::KeyRing> keys;
};

// Secrets of this process, drawn at start.
struct Seeds {
  std::uint64_t hash = 0;
  std::uint64_t names = 0;
  auth::DigestKey tokens{};
};
Seeds draw_seeds();

// `default` first, then the others by name; the index is the tenant's id. Reads key files; the error
// has a key and a message, but no place.
std::expected<std::vector<TenantPlan>, config::ConfigProblem> plan_tenants(const config::Settings& settings,
                                                                           const Seeds& seeds);

std::vector<hub::Namespace> plan_namespaces(const config::Settings& settings);

gateway::GatewayOptions gateway_options(const config::Settings& settings, bool echo);
hub::HomeOptions home_options(const config::Settings& settings, const Seeds& seeds,
                              const std::vector<TenantPlan>& tenants, hub::ShardId self, hub::ShardId shards);
hub::SessionOptions session_options(const config::Settings& settings, const Seeds& seeds, hub::ShardId self,
                                    hub::ShardId shards);
guard::OverloadLimits overload_limits(const config::Settings& settings);
api::Options api_options(const config::Settings& settings, const std::vector<TenantPlan>& tenants);

}  // namespace tidewire::server
