// Who asks without a session: HTTP calls with a user's token, and event streams that are being opened. The
// same limits (protocol §6) and the same eyes (requirement P3) as for the requests of a connection.

#include <xxhash.h>

#include "hub/sessions.h"
#include "protocol/channel_name.h"

namespace tidewire::hub {

std::optional<Error> Sessions::pass_rate(const LoneCaller& caller, const Time& now) {
  const Tenant& tenant = tenants_[caller.tenant];
  const guard::Limits& limits = tenant.limits.guard;
  const std::int64_t now_ms = now.mono_ms();
  ++counts_of(caller.tenant).rate_checked;
  guard::SharedLimits::Alone who{
      .keys = {.user = {}, .address = shared_.keys.address(caller.address, tenant.name)},
      .tenant = tenant.name,
      .user = {}};
  if (caller.identity != nullptr) {
    who.user = caller.identity->user_id;
    who.keys.user = shared_.keys.user(tenant.name, who.user);
  }
  if (options_.anomaly.holds()) {
    const std::int64_t held_until_ms =
        shared_.limits.anomalies().held_until_ms(who.keys.user ? who.keys.user : who.keys.address);
    if (held_until_ms > now_ms && options_.anomaly.action == guard::AnomalyAction::refuse &&
        !limits.dry_run) {
      ++counts_of(caller.tenant).rate_limited;
      return held_error(held_until_ms - now_ms);
    }
    who.slowed = held_until_ms > now_ms;
  }
  const std::int64_t wait_ms = shared_.limits.spend_alone(who, limits, now_ms);
  if (wait_ms == 0) return std::nullopt;
  ++counts_of(caller.tenant).rate_limited;
  Error error = fail(ErrorCode::rate_limited).error();
  error.retry_after_ms = wait_ms;
  return error;
}

void Sessions::watch_call(const UserCall& call, const Time& now) {
  const guard::LimitKey user = shared_.keys.user(tenants_[call.tenant].name, call.user);
  recent_.note_talker(user, call.bytes,
                      [&](Talker& talker) { talker = {.tenant = call.tenant, .name = call.user}; });
  using enum ErrorCode;
  if (call.outcome == invalid_json || call.outcome == invalid_message || call.outcome == too_large)
    shared_.limits.records().bad(user, guard::Offence::malformed, now.mono_ms());
  if (options_.anomaly.action == guard::AnomalyAction::off) return;
  guard::Anomalies& anomalies = shared_.limits.anomalies();
  if (call.outcome == rate_limited && options_.anomaly.holds() &&
      anomalies.held_until_ms(user) > now.mono_ms())
    return;
  guard::CallWatch::Call noted{.bytes = call.bytes, .failed = is_fault(call.outcome)};
  if (call.publishes) {
    const Namespace* ns = namespaces_.find(protocol::namespace_of(call.channel));
    if (ns != nullptr) noted.message = writer_in(*ns);
  }
  if (!call.channel.empty() && is_of_channel(call.outcome))
    noted.refused_channel = channel_hash(call.channel);
  const auto ended = anomalies.calls().note(
      {.key = user, .tenant = call.tenant, .user = call.user, .address = call.address}, noted, now.mono_ms());
  if (ended) judge_calls(*ended, now);
}

void Sessions::judge_calls(const Time& now) {
  for (const guard::CallWatch::Window& window : shared_.limits.anomalies().calls().take_ended(now.mono_ms()))
    judge_calls(window, now);
}

void Sessions::judge_calls(const guard::CallWatch::Window& window, const Time& now) {
  judge({.tenant = window.tenant, .key = window.key, .user = window.user, .address = window.address},
        window.activity, now);
}

}  // namespace tidewire::hub
