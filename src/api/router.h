// The HTTP API (protocol §8): from a request to its answer, by one table of routes.
//
// Every request is answered exactly once, at once or when the shards it asks have answered. It obeys the
// same rules as a session, through hub::Calls. No socket and no clock inside. Owned by the shard's
// thread; must outlive the calls that are under way in `calls`.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/call_counts.h"
#include "api/credentials.h"
#include "api/options.h"
#include "api/rates.h"
#include "base/ip_address.h"
#include "base/time.h"
#include "hub/calls.h"
#include "hub/sessions.h"
#include "wire/http_answer.h"
#include "wire/http_request.h"

namespace tidewire::api {

struct Route;

class Router {
 public:
  using Respond = std::function<void(wire::HttpAnswer)>;

  // `calls`, `sessions`, `tenants` and what `shared` refers to must outlive the router. `now` is when the
  // server began.
  Router(Options options, hub::Calls& calls, hub::Sessions& sessions, hub::Tenants& tenants,
         hub::Sessions::Shared shared, Hooks hooks, const Time& now);

  // Calls `respond` exactly once, now or later. `request` is only used during the call.
  void handle(const wire::HttpRequest& request, const IpAddress& client, const Time& now, Respond respond);

  // The answer to a request that can only be refused, judged by its head while its body is still to come:
  // no such path or method, no right, a body where there should be none or a larger one than the path takes.
  // Nothing where the body is to be taken.
  std::optional<wire::HttpAnswer> refuse_by_head(const wire::HttpRequest& head, const IpAddress& client,
                                                 const Time& now);

  // Counts an answer that the router was not asked for: to what can't be read or comes too late, at /ws and
  // at /sse.
  void note_answered(const wire::HttpRequest& request, int status);

  // A tenant's key set has come, or its fetch has failed: the requests that waited for it are judged
  // again. Without a tenant, those of all.
  void keys_changed(const Time& now, std::optional<hub::TenantId> tenant = std::nullopt);

  // The user directory has answered: the requests that waited for it are judged again.
  void user_answered(const Time& now, const guard::LimitKey& user, guard::UserState state);

  // Keeps /api/ws/stats' rates fresh; call it every few seconds.
  void tick(const Time& now);

  // Holds for requests from now on.
  void reload(Options options);

  // What this shard has answered; Shard hands it into hub::Analytics.
  const CallCounts& answered() const { return answered_; }

  // Requests that wait for a key set or the user directory; past either bound they are `unavailable`.
  std::size_t waiting() const { return waiting_.size(); }
  static constexpr std::size_t kWaitingMax = 1024;
  static constexpr std::size_t kWaitingBytesMax = std::size_t{32} << 20;

 private:
  friend struct Route;

  // A request on its way; lives as long as handle() does.
  struct Call {
    const wire::HttpRequest& request;
    const Route& route;
    std::vector<std::string> segments;  // what stood at the pattern's {}, decoded
    IpAddress client;
    Time now;
    Respond respond;
    Caller caller;
    hub::Awaited awaited;
    std::shared_ptr<hub::UserCall> watched = {};  // of a user's call, told once it is answered
  };
  struct Waiting {
    hub::TenantId tenant;
    guard::LimitKey user;  // empty: it waits for the tenant's keys
    wire::HttpRequest request;
    IpAddress client;
    Respond respond;
  };

  void serve(const wire::HttpRequest& request, const IpAddress& client, const Time& now, Respond respond,
             const hub::Awaited& awaited);
  // Counts the answer, which goes to `respond`.
  Respond counted(const Route* route, const Time& now, Respond respond);
  void note_answer(const Route* route, std::string_view path, int status, const Time& asked);
  // Adds to an answer what goes with every one: who may read it, and how it is compressed.
  std::function<void(wire::HttpAnswer&)> dress_for(const wire::HttpRequest& request) const;
  void preflight(const wire::HttpRequest& request, std::string_view allow, const Respond& respond);

  // access.cpp: who calls, and whether they may
  bool admit(Call& call);
  std::expected<Credentials::Grant, wire::HttpAnswer> judge_key(std::string_view key, Scope scope) const;
  std::optional<wire::HttpAnswer> refuse_post(const Route& route, const wire::HttpRequest& head,
                                              const IpAddress& client, const Time& now);
  // The tenant that the caller speaks to, or why it may not.
  std::expected<hub::TenantId, wire::HttpAnswer> judge_caller(const Route& route,
                                                              const wire::HttpRequest& head,
                                                              const IpAddress& client, const Time& now);
  hub::TenantId tenant_of(const wire::HttpRequest& request, std::string_view token) const;
  bool admit_user(Call& call, std::string_view token);
  // What has been understood counts, with a user's token (protocol §3: size, JSON, envelope, rate). False:
  // it was one too many, and has been answered.
  bool pass_rate(Call& call);
  void watch(Call& call, hub::TenantId tenant, const std::string& user_id);
  // True where the directory has the user, or there is none; else the call has been answered, or waits.
  bool knows_user(Call& call, const std::string& user_id);
  // Keeps the call until the directory has answered on this user; where there is none, until its keys have
  // come.
  void wait_for(Call& call, hub::TenantId tenant, std::string_view user_id);
  template <class IsDue>
  void serve_waiting(const Time& now, const hub::Awaited& awaited, IsDue&& is_due);
  hub::CallOrigin origin_of(const Caller& caller) const;
  const hub::TenantLimits& limits_of(const Call& call) const { return tenants_[call.caller.tenant].limits; }

  // messages.cpp
  void publish(Call& call);
  void batch(Call& call);
  void broadcast(Call& call);
  void notify(Call& call);
  // channels.cpp
  void list_channels(Call& call);
  void channel(Call& call);
  void history(Call& call);
  void presence(Call& call);
  void snapshot(Call& call);
  // users.cpp
  void user(Call& call);
  void disconnect(Call& call);
  void revoke(Call& call);
  void connection_health(Call& call);
  void list_connections(Call& call);
  // operations.cpp
  void alive(Call& call);
  void ready(Call& call);
  void public_health(Call& call);
  void detailed_health(Call& call);
  CircuitReport circuits_for(hub::TenantId tenant, std::int64_t since_unix_ms) const;
  void stats(Call& call);
  void metrics(Call& call);
  // descriptions.cpp
  void description(Call& call);
  // analytics.cpp
  void analytics(Call& call);
  // pages.cpp
  void demo_redirect(Call& call);
  void demo_file(Call& call);
  void demo_token(Call& call);
  void admin_redirect(Call& call);
  void admin_file(Call& call);

  Options options_;
  Credentials credentials_;
  hub::Calls& calls_;
  hub::Sessions& sessions_;
  hub::Tenants& tenants_;
  hub::Sessions::Shared shared_;
  Hooks hooks_;
  Time started_;
  std::vector<Rates> rates_;  // by tenant
  CallCounts answered_;
  std::int64_t sampled_us_ = 0;
  std::vector<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;  // of their bodies
};

}  // namespace tidewire::api
