// Fetches the tenants' key sets and hands new rings to all shards (requirement A2, `auth.jwks_url`).
//
// Lives on one loop's thread; need() may be called from any shard's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "auth/jwks_refresher.h"
#include "guard/circuits.h"
#include "hub/types.h"
#include "net/http_client.h"
#include "net/loop.h"

namespace tidewire::server {

struct KeySource {
  hub::TenantId tenant = 0;
  std::string name;  // of the tenant, for the log
  std::string url;
  std::shared_ptr<const auth::KeyRing> ring;
};

class KeyFetcher {
 public:
  struct Told {
    std::function<void(hub::TenantId, std::shared_ptr<const auth::KeyRing>)> keys;  // a new ring
    std::function<void(hub::TenantId)> unchanged;  // a fetch has ended without one
  };

  // `board` must outlive it. Each key set has its circuit: `jwks`, or `jwks.NAME` of a tenant.
  KeyFetcher(net::Loop& loop, auth::JwksRefresherOptions options, guard::CircuitBoard& board,
             guard::CircuitOptions circuit, Told told);
  // On the loop's thread, or before it runs. Replaces all sources.
  void set_sources(std::vector<KeySource> sources);

  // On the loop's thread: a token named a key that is not known.
  void need(hub::TenantId tenant);

 private:
  struct Source {
    KeySource what;
    std::unique_ptr<auth::JwksRefresher> refresher;
    std::uint64_t generation;
    guard::Circuit* circuit;
  };
  void look();
  void fetch(Source& source);
  void fetched(std::uint64_t generation, hub::TenantId tenant, guard::CircuitBreaker::Ticket ticket,
               const net::HttpReply& reply);
  guard::Circuit& circuit_of(const std::string& tenant);

  net::Loop& loop_;
  auth::JwksRefresherOptions options_;
  guard::CircuitBoard& board_;
  guard::CircuitOptions circuit_options_;
  std::map<std::string, guard::Circuit> circuits_;  // by tenant; they outlive a reload
  Told told_;
  net::HttpClient client_;
  std::vector<Source> sources_;
  std::uint64_t generation_ = 0;
  net::FunctionTimer timer_;
};

}  // namespace tidewire::server
