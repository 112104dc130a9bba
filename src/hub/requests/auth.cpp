#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

namespace {
constexpr int kFailuresToEnd = 3;  // protocol §2
}

// Authenticates the connection, or renews its token (protocol §2, §4 `auth`).
Sessions::Taken Sessions::authenticate(Context& context, const protocol::AuthRequest& request,
                                       const Awaited& awaited) {
  Session& session = context.session;
  if (!awaited.anything() && !pass_auth_rate(context)) return Taken::yes;

  const bool renews = session.identity != nullptr;
  // A renewal asks the directory anew: that is when a deleted user is to be noticed at the latest.
  const AskDirectory ask = renews ? AskDirectory::always : AskDirectory::if_unknown;
  auto verdict = judge_token(tenants_[session.tenant], shared_.users, shared_.keys, request.token,
                             context.now, awaited, ask);
  if (!verdict && verdict.error().wait != Wait::no) return wait_for(context, verdict.error());
  if (!verdict) return refuse_token(context, verdict.error().error);
  if (renews && session.identity->user_id != (*verdict)->user_id)
    return refuse_token(context, fail(ErrorCode::user_mismatch).error());
  if (renews) {
    session.identity = std::move(*verdict);  // the same user: only rights and times change
    forget_author(context.connection);
  } else if (!adopt(context.connection, session, std::move(*verdict), context.now)) {
    return refuse_token(context, fail(ErrorCode::connection_limit).error());
  }
  session.expiry_warned = false;
  reply(context, auth_success_of(context));
  outbound_.deadline_changed(context.connection);
  if (!renews) follow_inbox(context.connection, session, context.now);
  review(context.connection, session);
  return Taken::yes;
}

// Or answers that there were too many (protocol §6, rate limit).
bool Sessions::pass_auth_rate(Context& context) {
  ++counts_of(context.session.tenant).rate_checked;
  const std::int64_t wait_ms = context.session.more().auth_rate.check(context.now.mono_ms());
  if (wait_ms <= 0) return true;
  if (tenant_of(context.session).limits.guard.dry_run) {
    note_dry_run(context.session);
    return true;
  }
  ++counts_of(context.session.tenant).rate_limited;
  Error error = fail(ErrorCode::rate_limited, "too many `auth` messages").error();
  error.retry_after_ms = wait_ms;
  refuse(context, error, {});
  return false;
}

Sessions::Taken Sessions::wait_for(Context& context, const Refusal& refusal) {
  if (refusal.wait == Wait::keys) {
    outbound_.fetch_keys(context.session.tenant, {});
    return Taken::wait_for_keys;
  }
  outbound_.ask_user(context.connection, context.session.tenant, std::string(refusal.identity->user_id));
  return Taken::wait_for_user;
}

// The connection stays as it was, until it has failed too often (protocol §2).
Sessions::Taken Sessions::refuse_token(Context& context, const Error& error) {
  Session& session = context.session;
  session.health.note_error();
  reply(context, protocol::auth_error_message(error, context.id));
  const IpAddress client = outbound_.address_of(context.connection);
  if (!note_refused_token(session.tenant, client, error, context.now)) return Taken::yes;
  note_offence(session, guard::Offence::failed_attempt, context.now.mono_ms());
  if (++session.more().failed_auths >= kFailuresToEnd) end_answered(context.connection, session, error.code);
  return Taken::yes;
}

std::string Sessions::auth_success_of(const Context& context) const {
  const auth::Identity& identity = *context.session.identity;
  protocol::MessageWriter success("auth_success", context.id);
  std::string user;
  auth::append_user_json(user, identity);
  success.json("user", user).json("capabilities", capabilities_of(context.session));
  if (identity.expires_at_ms) success.number("expires_at", *identity.expires_at_ms);
  return success.finish();
}

}  // namespace tidewire::hub
