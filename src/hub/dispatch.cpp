// The way of one message through its checks, in the order of protocol §3: size and UTF-8 were looked
// at before; JSON and envelope in protocol/decode; then rate, here; then each request's own.

#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

namespace {
constexpr bool counts_against_rate(const protocol::RequestBody& body) {
  return !std::holds_alternative<protocol::PingRequest>(body) &&
         !std::holds_alternative<protocol::AuthRequest>(body) &&
         !std::holds_alternative<protocol::AckRequest>(body) &&
         !std::holds_alternative<protocol::UnsubscribeRequest>(body);
}

constexpr bool needs_no_identity(const protocol::RequestBody& body) {
  return std::holds_alternative<protocol::PingRequest>(body) ||
         std::holds_alternative<protocol::AuthRequest>(body);
}
}  // namespace

void Sessions::note_message(Handle connection, Session& session, std::size_t bytes, const Time& now) {
  ++counts_of(session.tenant).messages_in;
  watch(connection, session, bytes, now);
  session.health.note_request();
  const guard::SharedKeys& keys = session.shared_keys;
  // Asked once the message has been read: with many users they come from far away.
  shared_.limits.prefetch(keys);
  session.adaptive.prefetch(shared_.limits.records(), keys.user, now.mono_ms());
  recent_.note_talker(keys.user ? keys.user : keys.address, bytes, [&](Talker& talker) {
    talker.tenant = session.tenant;
    talker.anonymous = session.identity == nullptr;
    if (talker.anonymous)
      talker.name = outbound_.address_of(connection).text();
    else
      talker.name = session.identity->user_id.view();
  });
}

Sessions::Taken Sessions::on_text(Handle connection, std::string_view text, const Time& now,
                                  const Awaited& awaited) {
  Session* session = find(connection);
  if (session == nullptr || session->closing) return Taken::yes;
  if (!awaited.anything()) note_message(connection, *session, text.size(), now);
  auto request = protocol::decode(text, tenant_of(*session).limits.json_depth);
  if (!request) {
    malformed(connection, *session, request.error(), now);
    return Taken::yes;
  }
  const std::string id = std::move(request->id);
  Context context{.connection = connection,
                  .session = *session,
                  .now = now,
                  .id = id,
                  .type = request->type,
                  .bytes = text.size()};
  return dispatch(context, std::move(*request), awaited);
}

void Sessions::on_malformed(Handle connection, ErrorCode code, std::string message, const Time& now) {
  Session* session = find(connection);
  if (session == nullptr || session->closing) return;
  session->health.note_request();
  watch(connection, *session, 0, now);
  malformed(connection, *session,
            {.error = fail(code, std::move(message)).error(), .id = {}, .type = {}, .channel = {}}, now);
}

// Answered like any error.
void Sessions::malformed(Handle connection, Session& session, const protocol::DecodeFailure& failure,
                         const Time& now) {
  reply(connection, session,
        protocol::error_message(failure.error, failure.id, failure.type, failure.channel));
  note_malformed(connection, session, now);
}

// The 20th in a minute ends the connection (protocol §6).
void Sessions::note_malformed(Handle connection, Session& session, const Time& now) {
  ++counts_of(session.tenant).malformed;
  session.health.note_error();
  note_offence(session, guard::Offence::malformed, now.mono_ms());
  session.activity.error();
  const auto verdict = session.more().malformed.record(tenant_of(session).limits.guard, now.mono_ms());
  if (verdict == guard::MalformedLimit::Verdict::answer_and_close)
    end_answered(connection, session, ErrorCode::invalid_message);
}

// A request that only a dry run lets pass.
void Sessions::note_dry_run(const Session& session) {
  shared_.limits.dry_run().note(tenant_of(session).name,
                                session.identity ? session.identity->user_id.view() : std::string_view());
}

// False when the request was refused.
bool Sessions::pass_rate(Context& context, const protocol::Request& request) {
  if (!counts_against_rate(request.body)) return true;
  Session& session = context.session;
  ++counts_of(session.tenant).rate_checked;
  const guard::Limits& limits = tenant_of(session).limits.guard;
  const std::int64_t now_ms = context.now.mono_ms();
  if (is_held(session, guard::AnomalyAction::refuse, now_ms) && !limits.dry_run) {
    ++counts_of(session.tenant).rate_limited;
    refuse(context, held_error(session.held_until_ms() - now_ms), protocol::channel_of(request));
    return false;
  }
  const guard::LimitFactor learned =
      session.adaptive.factor(shared_.limits.records(), session.shared_keys.user, limits.adaptive, now_ms);
  const guard::LimitFactor factor =
      is_held(session, guard::AnomalyAction::slow, now_ms) ? guard::LimitFactor::of(0.5) : learned;
  const bool was_in_penalty = session.limiter.in_penalty(now_ms);
  const auto verdict = session.limiter.check(limits, now_ms, factor, [&](guard::Spend spend) {
    return shared_.limits.spend(spend, session.shared_keys, limits, factor, now_ms);
  });
  using enum guard::RequestVerdict::Kind;
  if (verdict.kind == allowed && !verdict.would_refuse) return true;
  // Tries during a penalty have no further consequence.
  if (!was_in_penalty) {
    const bool is_in_penalty = session.limiter.in_penalty(now_ms);
    if (is_in_penalty) ++counts_of(session.tenant).penalties;
    note_offence(session, is_in_penalty ? guard::Offence::penalty : guard::Offence::refused, now_ms);
  }
  if (verdict.would_refuse) {
    note_dry_run(session);
    return true;
  }
  ++counts_of(session.tenant).rate_limited;
  Error error = fail(ErrorCode::rate_limited).error();
  error.retry_after_ms = verdict.retry_after_ms;
  refuse(context, error, protocol::channel_of(request));
  if (verdict.kind == refused_and_close) end_answered(context.connection, session, ErrorCode::rate_limited);
  return false;
}

Sessions::Taken Sessions::dispatch(Context& context, protocol::Request&& request, const Awaited& awaited) {
  if (!awaited.anything()) {
    ++counts_of(context.session.tenant).requests[request.body.index()];
    if (!pass_rate(context, request)) return Taken::yes;
  }
  if (context.session.restricted && !needs_no_identity(request.body)) {
    refuse(context, fail(ErrorCode::unauthorized).error(), protocol::channel_of(request));
    return Taken::yes;
  }
  if (const auto* auth_request = std::get_if<protocol::AuthRequest>(&request.body))
    return authenticate(context, *auth_request, awaited);
  if (auto* publish = std::get_if<protocol::PublishRequest>(&request.body))
    return carry_out(context, std::move(*publish), awaited);
  std::visit(
      [&](auto&& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (!std::is_same_v<Body, protocol::AuthRequest> &&
                      !std::is_same_v<Body, protocol::PublishRequest>)
          carry_out(context, std::move(body));
      },
      std::move(request.body));
  return Taken::yes;
}

}  // namespace tidewire::hub
