// Who calls, and whether they may (protocol §8, §2 for users' tokens).

#include <fmt/format.h>

#include "api/answers.h"
#include "api/route.h"
#include "api/router.h"
#include "hub/publish.h"

namespace tidewire::api {

namespace {

std::string_view name_of(Scope scope) {
  switch (scope) {
    case Scope::publish:
      return "publish";
    case Scope::read:
      return "read";
    case Scope::admin:
      break;
  }
  return "admin";
}

wire::HttpAnswer rate_limited(std::int64_t wait_ms, std::string detail) {
  Error error = fail(ErrorCode::rate_limited, std::move(detail)).error();
  error.retry_after_ms = wait_ms;
  return problem_answer(error);
}

// Neither a key nor a token that would do.
wire::HttpAnswer nobody_calls(const Route& route) {
  if (route.door != Door::user)
    return problem_answer(ErrorCode::forbidden,
                          fmt::format("this needs an API key with the scope `{}`", name_of(route.scope)));
  return problem_answer(
      ErrorCode::unauthorized,
      fmt::format("this needs a user's token or an API key with the scope `{}`", name_of(route.scope)));
}

}  // namespace

std::expected<Credentials::Grant, wire::HttpAnswer> Router::judge_key(std::string_view key,
                                                                      Scope scope) const {
  const auto grant = credentials_.judge(key);
  if (!grant) return std::unexpected(problem_answer(ErrorCode::forbidden, "there is no such API key"));
  if (!grant->has(scope))
    return std::unexpected(problem_answer(ErrorCode::forbidden,
                                          fmt::format("this API key lacks the scope `{}`", name_of(scope))));
  return *grant;
}

// Why the caller may not do this, as far as the head of its request says: keys that are not known yet and
// the user directory are waited for only once the whole request is there.
std::expected<hub::TenantId, wire::HttpAnswer> Router::judge_caller(const Route& route,
                                                                    const wire::HttpRequest& head,
                                                                    const IpAddress& client,
                                                                    const Time& now) {
  if (route.door == Door::open || route.door == Door::metrics) return hub::TenantId{0};
  const Presented presented = presented_by(head.headers);
  if (presented.api_key) {
    auto grant = judge_key(*presented.api_key, route.scope);
    if (!grant) return std::unexpected(std::move(grant.error()));
    return grant->tenant;
  }
  if (route.door != Door::user || !presented.token) return std::unexpected(nobody_calls(route));
  std::int64_t wait_ms = 0;
  if (shared_.attempts.blocked(client, now.mono_ms(), wait_ms))
    return std::unexpected(rate_limited(wait_ms, std::string(guard::Attempts::kBlockedReason)));
  hub::Tenant& tenant = tenants_[tenant_of(head, *presented.token)];
  const auto verdict = tenant.verifier.verify(*presented.token, now);
  if (verdict || verdict.error().needs_keys) return tenant.id;
  sessions_.note_refused_token(tenant.id, client, verdict.error().error, now);
  return std::unexpected(problem_answer(verdict.error().error));
}

hub::TenantId Router::tenant_of(const wire::HttpRequest& request, std::string_view token) const {
  const std::string_view host = request.headers.find("Host").value_or("");
  return hooks_.find_tenant ? hooks_.find_tenant(host, token) : hub::TenantId{0};
}

// True when the call may go on; else it has been answered, or waits for keys.
bool Router::admit(Call& call) {
  const Door door = call.route.door;
  if (door == Door::open || (door == Door::metrics && options_.metrics_public)) return true;
  const Presented presented = presented_by(call.request.headers);
  if (presented.api_key) {
    auto grant = judge_key(*presented.api_key, call.route.scope);
    if (!grant) {
      call.respond(std::move(grant.error()));
      return false;
    }
    if (door == Door::metrics && grant->tenant != 0) {
      call.respond(
          problem_answer(ErrorCode::forbidden, "the metrics are of the whole server, not of a tenant"));
      return false;
    }
    call.caller = {.tenant = grant->tenant, .server = true, .identity = nullptr};
    call.caller.author = std::move(grant->author);
    return true;
  }
  if (door != Door::user || !presented.token) {
    call.respond(nobody_calls(call.route));
    return false;
  }
  return admit_user(call, *presented.token);
}

bool Router::admit_user(Call& call, std::string_view token) {
  const std::int64_t now_ms = call.now.mono_ms();
  std::int64_t wait_ms = 0;
  if (shared_.attempts.blocked(call.client, now_ms, wait_ms)) {
    call.respond(rate_limited(wait_ms, std::string(guard::Attempts::kBlockedReason)));
    return false;
  }

  const hub::TenantId tenant_id = tenant_of(call.request, token);
  hub::Tenant& tenant = tenants_[tenant_id];
  hub::Awaited awaited = call.awaited;
  awaited.keys = awaited.keys || !hooks_.fetch_keys;
  auto verdict = hub::judge_token(tenant, shared_.users, shared_.keys, token, call.now, awaited);
  if (!verdict && verdict.error().wait != hub::Wait::no) {
    const bool for_keys = verdict.error().wait == hub::Wait::keys;
    wait_for(call, tenant_id, for_keys ? std::string_view() : verdict.error().identity->user_id.view());
    return false;
  }
  if (!verdict) {
    sessions_.note_refused_token(tenant_id, call.client, verdict.error().error, call.now);
    call.respond(problem_answer(verdict.error().error));
    return false;
  }

  watch(call, tenant_id, std::string((*verdict)->user_id));
  call.caller = {.tenant = tenant_id, .server = false, .identity = std::move(*verdict)};
  return true;
}

bool Router::pass_rate(Call& call) {
  if (call.caller.server) return true;
  const auto over = sessions_.pass_rate(
      {.tenant = call.caller.tenant, .identity = call.caller.identity.get(), .address = call.client},
      call.now);
  if (over) call.respond(problem_answer(*over));
  return !over;
}

// What a user calls counts in what is usual for it (requirement P3), however it ends.
void Router::watch(Call& call, hub::TenantId tenant, const std::string& user_id) {
  call.watched = std::make_shared<hub::UserCall>(hub::UserCall{
      .tenant = tenant, .user = user_id, .address = call.client, .bytes = call.request.body.size()});
  if (!call.segments.empty()) call.watched->channel = call.segments.front();
  call.respond = [this, watched = call.watched, now = call.now,
                  respond = std::move(call.respond)](wire::HttpAnswer answer) {
    watched->outcome = answer.refusal;
    sessions_.watch_call(*watched, now);
    respond(std::move(answer));
  };
}

bool Router::knows_user(Call& call, const std::string& user_id) {
  const hub::TenantId tenant = call.caller.tenant;
  const guard::LimitKey key = shared_.keys.user(tenants_[tenant].name, user_id);
  const auto state = hub::state_of_user(shared_.users, key, call.now, call.awaited);
  if (!state) {
    wait_for(call, tenant, user_id);
    return false;
  }
  if (*state == guard::UserState::absent) call.respond(no_such_user());
  if (*state == guard::UserState::unavailable)
    call.respond(problem_answer(hub::directory_unavailable(shared_.users, call.now)));
  return *state == guard::UserState::exists;
}

void Router::wait_for(Call& call, hub::TenantId tenant, std::string_view user_id) {
  const std::size_t bytes = call.request.body.size();
  if (!user_id.empty() && !hooks_.ask_user)
    return call.respond(problem_answer(hub::directory_unavailable(shared_.users, call.now)));
  if (waiting_.size() >= kWaitingMax || waiting_bytes_ + bytes > kWaitingBytesMax)
    return call.respond(problem_answer(ErrorCode::unavailable,
                                       user_id.empty() ? "too many requests wait for the key set"
                                                       : "too many requests wait for the user directory"));
  waiting_bytes_ += bytes;
  waiting_.push_back(
      {.tenant = tenant,
       .user = user_id.empty() ? guard::LimitKey{} : shared_.keys.user(tenants_[tenant].name, user_id),
       .request = call.request,
       .client = call.client,
       .respond = std::move(call.respond)});
  if (user_id.empty())
    hooks_.fetch_keys(tenant);
  else
    hooks_.ask_user(tenant, std::string(user_id));
}

hub::CallOrigin Router::origin_of(const Caller& caller) const {
  return {.tenant = caller.tenant,
          .caller = {.identity = caller.identity.get(), .server = caller.server},
          .author = caller.server ? caller.author : hub::make_author(caller.identity.get(), 0)};
}

}  // namespace tidewire::api
