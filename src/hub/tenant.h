// A tenant's rules on one shard: who its users are and how much they may do (requirement O6).
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "auth/verifier.h"
#include "guard/limits.h"
#include "hub/types.h"

namespace tidewire::hub {

struct TenantLimits {
  guard::Limits guard;
  std::size_t message_bytes = 1 << 20;
  int json_depth = 64;
  std::size_t channels = 1000;  // subscriptions of one connection
};

struct Tenant {
  TenantId id = 0;
  std::string name;
  TenantLimits limits;
  auth::Verifier verifier;
};

// All tenants of a shard by id; `default` is 0. Addresses stay valid.
using Tenants = std::deque<Tenant>;

}  // namespace tidewire::hub
