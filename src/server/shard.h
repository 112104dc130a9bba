// One event loop with its connections, the channels whose home it is, and its own copy of the rules.
//
// Everything in here belongs to the shard's thread, but inbox(), outcomes() and loop().post(). Shards talk
// through mailboxes, in whole batches once a turn.
#pragma once

#include <atomic>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "api/router.h"
#include "auth/revocation.h"
#include "gateway/gateway.h"
#include "hub/calls.h"
#include "hub/home.h"
#include "hub/namespaces.h"
#include "hub/sessions.h"
#include "log/log.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "net/tls.h"
#include "server/wiring.h"

namespace tidewire::server {

class Shard {
 public:
  struct Plan {
    hub::ShardId self = 0;
    hub::ShardId shards = 1;
    Seeds seeds;
    const config::Settings& settings;
    const std::vector<TenantPlan>& tenants;
    const std::vector<hub::Namespace>& namespaces;
    bool echo = false;
    std::shared_ptr<const net::TlsContext> tls;
  };
  // What the shards need of the server; called on the shard's thread.
  struct Server {
    std::function<void(hub::TenantId)> need_keys;
    // Asks the user directory; user_answered() follows.
    std::function<void(hub::ShardId asker, hub::TenantId, const std::string& user_id)> ask_user;
    // Stores it, then answers on the asking shard's thread.
    std::function<void(hub::ShardId asker, log::Revocation, std::function<void(Result<void>)>)>
        save_revocation;
    std::function<std::vector<api::Component>()> components;  // what is not the shard's own
    std::function<api::CircuitReport(std::int64_t since_unix_ms)> circuits;
    std::function<void(telemetry::Snapshot&)> add_metrics;
    std::function<void(std::int64_t now_ms)> every_second;  // on the first shard only
  };

  Shard(const Plan& plan, hub::Sessions::Shared shared, Server server);
  // Once, when all shards exist and before any runs.
  void meet(std::vector<Shard*> shards, log::Log& log);
  void listen(net::ListeningSocket socket);

  void run() { loop_.run(); }
  net::Loop& loop() { return loop_; }
  net::Mailbox<hub::Envelope>& inbox() { return inbox_; }
  net::Mailbox<log::Outcome>& outcomes() { return outcomes_; }

  // On the shard's thread:
  void reload(const Plan& plan);
  void set_keys(hub::TenantId tenant, std::shared_ptr<const auth::KeyRing> keys);
  void keys_unchanged(hub::TenantId tenant);  // a fetch failed; whoever waited gets its answer
  // The directory has answered a question of this shard's.
  void user_answered(const guard::LimitKey& user, guard::UserState state);
  // The directory has said, to whomever, that the user does not exist.
  void user_gone(std::string_view tenant, const std::string& user_id);
  void drain(std::int64_t within_ms);

  // Any thread: whether a drain has left no connection, or its time is over. The loop goes on, since other
  // shards' connections may need what is at home here.
  bool drained() const { return drained_.load(std::memory_order_relaxed); }

 private:
  void post(hub::ShardId to, hub::Message&& message);
  void dispatch(hub::ShardId from, hub::Message&& message);
  void dispatch_local();
  void answer(hub::ShardId from, hub::Ask&& ask);
  void end_turn();
  void tick();
  void recheck_users();
  void watch_load();
  void watch_descriptors();
  std::vector<hub::ShardCounts> tenant_counts() const;
  hub::ShardCounts counts(const std::vector<hub::ShardCounts>& tenants) const;
  void log_anomalies();
  api::Health health() const;
  hub::TenantId tenant_for(std::string_view host, std::string_view token) const;
  void accept(int fd, const net::SocketAddress& peer);

  hub::ShardId self_;
  bool echo_;
  Server server_;
  net::Loop loop_;
  net::Mailbox<hub::Envelope> inbox_;
  std::vector<hub::Envelope> inbox_now_;
  std::vector<Shard*> shards_;
  std::vector<std::vector<hub::Envelope>> outgoing_;
  std::vector<hub::Message> local_;
  std::vector<hub::Message> local_now_;

  std::shared_ptr<const net::TlsContext> tls_;
  std::shared_ptr<auth::RevocationList> revocations_;
  hub::Namespaces namespaces_;
  hub::Tenants tenants_;
  std::vector<std::pair<std::string, hub::TenantId>> hosts_;
  hub::Sessions::Shared shared_;
  log::Log* log_ = nullptr;
  std::vector<log::Operation> operations_;  // of this turn, for the log
  net::Mailbox<log::Outcome> outcomes_;
  std::vector<log::Outcome> outcomes_now_;
  hub::Home home_;
  gateway::Gateway gateway_;
  hub::Sessions sessions_;
  hub::Calls calls_;
  api::Router router_;
  net::FunctionTimer ticker_;
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  net::FunctionTimer due_;           // wakes the loop for what conflated channels hold back
  std::int64_t due_at_ms_ = kNever;  // mono
  std::int64_t drain_by_ms_ = 0;
  std::atomic<bool> drained_ = false;
  std::int64_t ticks_ = 0;
  double rechecks_per_tick_;  // of users, at most
  std::int64_t recheck_every_ms_;
  double recheck_credit_ = 0;
  guard::OverloadLimits overload_limits_;
  std::int64_t longest_turn_us_ = 0;  // since the last tick
  std::int64_t waited_us_ = 0;        // of the loop, as of the last tick
  std::int64_t loop_lag_us_ = 0;      // the longest of the last second and of this one
  std::int64_t loop_lag_now_us_ = 0;
  std::unique_ptr<net::Listener> listener_;
  std::uint64_t exhausted_ = 0;  // of the listener's count, what has been looked at
};

}  // namespace tidewire::server
