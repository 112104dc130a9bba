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

}  // namespace

// True when the call may go on; else it has been answered, or waits for keys.
bool Router::admit(Call& call, Keys keys) {
  const Door door = call.route.door;
  if (door == Door::open || (door == Door::metrics && options_.metrics_public)) return true;
  const auto refuse = [&](ErrorCode code, std::string detail) {
    call.respond(problem_answer(code, std::move(detail)));
    return false;
  };

  const Presented presented = presented_by(call.request.headers);
  const Scope scope = call.route.scope;
  if (presented.api_key) {
    const auto grant = credentials_.judge(*presented.api_key);
    if (!grant) return refuse(ErrorCode::forbidden, "there is no such API key");
    if (!grant->has(scope))
      return refuse(ErrorCode::forbidden, fmt::format("this API key lacks the scope `{}`", name_of(scope)));
    call.caller = {.tenant = grant->tenant, .server = true, .identity = nullptr};
    return true;
  }
  if (door != Door::user)
    return refuse(ErrorCode::forbidden,
                  fmt::format("this needs an API key with the scope `{}`", name_of(scope)));
  if (!presented.token)
    return refuse(ErrorCode::unauthorized,
                  fmt::format("this needs a user's token or an API key with the scope `{}`", name_of(scope)));
  return admit_user(call, *presented.token, keys);
}

bool Router::admit_user(Call& call, std::string_view token, Keys keys) {
  const std::int64_t now_ms = call.now.mono_ms();
  std::int64_t wait_ms = 0;
  if (shared_.attempts.blocked(call.client, now_ms, wait_ms)) {
    call.respond(rate_limited(wait_ms, std::string(guard::Attempts::kBlockedReason)));
    return false;
  }

  const std::string_view host = call.request.headers.find("Host").value_or("");
  const hub::TenantId tenant_id = hooks_.find_tenant ? hooks_.find_tenant(host, token) : hub::TenantId{0};
  hub::Tenant& tenant = tenants_[tenant_id];
  const guard::Limits& limits = tenant.limits.guard;
  auto verdict = tenant.verifier.verify(token, call.now);
  if (!verdict && verdict.error().needs_keys && keys == Keys::may_be_fetched && hooks_.fetch_keys) {
    const std::size_t bytes = call.request.body.size();
    if (waiting_.size() >= kWaitingMax || waiting_bytes_ + bytes > kWaitingBytesMax) {
      call.respond(problem_answer(ErrorCode::unavailable, "too many requests wait for the key set"));
      return false;
    }
    waiting_bytes_ += bytes;
    waiting_.push_back({.tenant = tenant_id,
                        .request = call.request,
                        .client = call.client,
                        .respond = std::move(call.respond)});
    hooks_.fetch_keys(tenant_id);
    return false;
  }
  if (!verdict) {
    const Error& error = verdict.error().error;
    // A part that is down is not the client's failed attempt.
    if (error.code != ErrorCode::unavailable) shared_.attempts.record_failure(call.client, limits, now_ms);
    call.respond(problem_answer(error));
    return false;
  }

  const guard::SharedKeys shares{.user = shared_.keys.user(tenant.name, (*verdict)->user_id),
                                 .address = shared_.keys.address(call.client, tenant.name)};
  wait_ms = shared_.limits.spend_alone(shares, limits, now_ms);
  if (wait_ms > 0 && limits.dry_run) {
    shared_.limits.dry_run().note(tenant.name, (*verdict)->user_id);
  } else if (wait_ms > 0) {
    call.respond(rate_limited(wait_ms, {}));
    return false;
  }
  call.caller = {.tenant = tenant_id, .server = false, .identity = std::move(*verdict)};
  return true;
}

hub::CallOrigin Router::origin_of(const Caller& caller) const {
  return {.tenant = caller.tenant,
          .caller = {.identity = caller.identity.get(), .server = caller.server},
          .author = caller.server ? hub::server_author() : hub::make_author(caller.identity.get(), 0)};
}

}  // namespace tidewire::api
