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
  Tenant& tenant = tenants_[session.tenant];
  const std::int64_t now_ms = context.now.mono_ms();
  if (!awaited.anything()) {
    if (const std::int64_t wait_ms = session.more().auth_rate.check(now_ms); wait_ms > 0) {
      ++counts_of(session.tenant).rate_limited;
      Error error = fail(ErrorCode::rate_limited, "too many `auth` messages").error();
      error.retry_after_ms = wait_ms;
      refuse(context, error, {});
      return Taken::yes;
    }
  }

  const auto refuse_token = [&](const Error& error) {
    session.health.note_error();
    reply(context, protocol::auth_error_message(error, context.id));
    const IpAddress client = outbound_.address_of(context.connection);
    if (!note_refused_token(session.tenant, client, error, context.now)) return;
    note_offence(session, guard::Offence::failed_attempt, now_ms);
    if (++session.more().failed_auths >= kFailuresToEnd)
      end_answered(context.connection, session, error.code);
  };

  // A renewal asks the directory anew: that is when a deleted user is to be noticed at the latest.
  const AskDirectory ask = session.identity != nullptr ? AskDirectory::always : AskDirectory::if_unknown;
  auto verdict = judge_token(tenant, shared_.users, shared_.keys, request.token, context.now, awaited, ask);
  if (!verdict) {
    switch (verdict.error().wait) {
      case Wait::keys:
        outbound_.fetch_keys(session.tenant, {});
        return Taken::wait_for_keys;
      case Wait::user:
        outbound_.ask_user(context.connection, session.tenant,
                           std::string(verdict.error().identity->user_id));
        return Taken::wait_for_user;
      case Wait::no:
        break;
    }
    refuse_token(verdict.error().error);
    return Taken::yes;
  }
  if (session.identity != nullptr && session.identity->user_id != (*verdict)->user_id) {
    refuse_token(fail(ErrorCode::user_mismatch).error());
    return Taken::yes;
  }
  const bool renewed = session.identity != nullptr;
  if (renewed) {
    session.identity = std::move(*verdict);  // the same user: only rights and times change
    forget_author(context.connection);
  } else if (!adopt(context.connection, session, std::move(*verdict), context.now)) {
    refuse_token(fail(ErrorCode::connection_limit).error());
    return Taken::yes;
  }
  session.expiry_warned = false;

  protocol::MessageWriter success("auth_success", context.id);
  std::string user;
  auth::append_user_json(user, *session.identity);
  success.json("user", user).json("capabilities", capabilities_of(session));
  if (session.identity->expires_at_ms) success.number("expires_at", *session.identity->expires_at_ms);
  reply(context, success.finish());
  outbound_.deadline_changed(context.connection);
  if (!renewed) follow_inbox(context.connection, session, context.now);
  review(context.connection, session);
  return Taken::yes;
}

}  // namespace tidewire::hub
