#include "hub/sessions.h"

#include <algorithm>
#include <limits>

#include "hub/publish.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

using protocol::MessageWriter;

Sessions::Sessions(SessionOptions options, const Namespaces& namespaces, Tenants& tenants, Shared shared,
                   Outbound& outbound, Post post)
    : options_(std::move(options)),
      namespaces_(namespaces),
      tenants_(tenants),
      shared_(shared),
      outbound_(outbound),
      post_(std::move(post)),
      replicas_(ChannelKeyHash{options_.hash_seed}),
      authors_(kAuthors),
      counts_(tenants.size()) {}

Session* Sessions::find(Handle connection) {
  Session* session = sessions_[connection.index];
  return session != nullptr && session->generation == connection.generation ? session : nullptr;
}

const Session* Sessions::session(Handle connection) const {
  return const_cast<Sessions*>(this)->find(connection);
}

bool Sessions::can_take(Handle connection) const {
  const Session* found = session(connection);
  if (found == nullptr) return true;
  const ToSubscribe* rest = found->to_subscribe.get();
  if (rest != nullptr && must_wait(*found, rest->items.front().item.channel)) return false;
  return !found->replies || (found->replies->size() < kPendingRepliesMax &&
                             found->large_replies < (rest != nullptr ? rest->window : kLargeRepliesMax));
}

std::string Sessions::capabilities_of(const Session& session) const {
  std::string out = "[";
  const auto add = [&](std::string_view name) {
    if (out.size() > 1) out += ',';
    append_json_string(out, name);
  };
  if (session.identity != nullptr) {
    for (const char* name :
         {"messaging", "presence", "state", "notifications", "dashboard", "uploads", "agents"})
      add(name);
  } else if (!session.restricted) {
    for (const std::string& name : options_.anonymous_capabilities) add(name);
  }
  out += ']';
  return out;
}

const std::shared_ptr<const Author>& Sessions::author_of(Handle connection, const Session& session) {
  KnownAuthor& known = authors_[connection.index % kAuthors];
  if (known.connection != connection)
    known = {connection, make_author(session.identity.get(), session.connection_id)};
  return known.author;
}

void Sessions::forget_author(Handle connection) {
  KnownAuthor& known = authors_[connection.index % kAuthors];
  if (known.connection == connection) known = {};
}

namespace {
std::uint32_t hash_of(const guard::LimitKey& user) { return static_cast<std::uint32_t>(user.low); }
}  // namespace

std::uint32_t Sessions::first_of_user(const guard::LimitKey& user) const {
  return users_.find(hash_of(user),
                     [&](std::uint32_t index) { return sessions_[index]->shared_keys.user == user; });
}

void Sessions::open(Handle connection, Opening&& opening, const Time& now) {
  Session& session = sessions_.emplace(connection.index);
  session.generation = connection.generation;
  session.tenant = opening.tenant;
  session.connection_id = opening.connection_id;
  session.connected_at_ms = now.unix_ms;
  session.manual_inbox = opening.manual_inbox;
  const Tenant& tenant = tenant_of(session);
  session.shared_keys.address = shared_.keys.address(opening.address, tenant.name);
  if (options_.anomaly.holds())
    session.hold(shared_.limits.anomalies().held_until_ms(session.shared_keys.address));
  ++counts_of(session.tenant).connections_opened;
  ++counts_of(session.tenant).connections;
  ++counts_of(session.tenant).health[static_cast<std::size_t>(session.health.status())];

  if (opening.identity != nullptr) {
    // A connection over its user's limit gets no `connected` (protocol §9 limits.connections_per_user).
    if (!adopt(connection, session, std::move(opening.identity), now))
      return end(connection, session, 1008, "connection_limit");
  } else if (options_.auth_required) {
    restrict(session, now);
  }

  MessageWriter connected("connected");
  connected.number("protocol", std::int64_t{1})
      .text("connection_id", connection_name(session.connection_id))
      .text("tenant", tenant.name)
      .boolean("authenticated", session.identity != nullptr);
  if (session.identity != nullptr) {
    std::string user;
    auth::append_user_json(user, *session.identity);
    connected.json("user", user);
  } else {
    connected.json("user", "null");
  }
  connected.number("timestamp", now.unix_ms)
      .json("capabilities", capabilities_of(session))
      .number("heartbeat_ms", options_.heartbeat_ms);
  if (session.identity != nullptr && session.identity->expires_at_ms)
    connected.number("expires_at", *session.identity->expires_at_ms);
  MessageWriter limits;
  limits.number("message_bytes", static_cast<std::uint64_t>(tenant.limits.message_bytes))
      .number("messages_per_minute", tenant.limits.guard.messages_per_minute)
      .number("burst", tenant.limits.guard.burst)
      .number("channels", static_cast<std::uint64_t>(tenant.limits.channels));
  connected.json("limits", limits.finish());
  outbound_.send(connection, connected.finish());
  outbound_.deadline_changed(connection);
  follow_inbox(connection, session, now);
}

// Makes the session the identity's; false when its user has too many connections.
bool Sessions::adopt(Handle connection, Session& session, auth::IdentityPtr identity, const Time& now) {
  const Tenant& tenant = tenant_of(session);
  const guard::LimitKey key = shared_.keys.user(tenant.name, identity->user_id);
  const bool counts = tenant.limits.guard.connections_per_user > 0;
  if (counts &&
      shared_.limits.admit_user(key, tenant.limits.guard, now.mono_ms()) != guard::Admission::admitted)
    return false;
  session.shared_keys.user = key;
  session.adaptive = {};
  // Another connection may be the reason; and what an address did is not the user's.
  session.hold(options_.anomaly.holds() ? shared_.limits.anomalies().held_until_ms(key) : 0);
  session.of_user = true;
  session.user_counted = counts;
  session.identity = std::move(identity);
  forget_author(connection);
  lift_restriction(session);
  session.next_of_user = first_of_user(key);
  if (session.next_of_user == IndexTable::kNone) {
    users_.insert(hash_of(key), connection.index);
  } else {
    sessions_[session.next_of_user]->previous_of_user = connection.index;
    users_.replace(hash_of(key), session.next_of_user, connection.index);
  }
  return true;
}

bool Sessions::note_refused_token(TenantId tenant, const IpAddress& client, const Error& error,
                                  const Time& now) {
  std::int64_t wait_ms = 0;
  if (error.code != ErrorCode::connection_limit && !shared_.attempts.blocked(client, now.mono_ms(), wait_ms))
    outbound_.note_refused_token(client, error);
  if (error.code == ErrorCode::unavailable || error.code == ErrorCode::connection_limit) return false;
  ++counts_of(tenant).auth_failures;
  const guard::Limits& limits = tenants_[tenant].limits.guard;
  if (shared_.attempts.record_failure(client, limits, now.mono_ms())) {
    ++counts_of(tenant).auth_penalties;
    outbound_.note_turned_away(client, limits.attempts_penalty_ms);
  }
  return true;
}

void Sessions::restrict(Session& session, const Time& now) {
  session.restricted = true;
  session.more().authenticate_by_ms = now.mono_ms() + options_.auth_timeout_ms;
}

void Sessions::lift_restriction(Session& session) {
  session.restricted = false;
  if (session.extras) session.extras->authenticate_by_ms = 0;
}

void Sessions::forget_user(Handle connection, Session& session, const Time&) {
  if (!std::exchange(session.of_user, false)) return;
  if (std::exchange(session.user_counted, false)) shared_.limits.release_user(session.shared_keys.user);
  const std::uint32_t hash = hash_of(session.shared_keys.user);
  const std::uint32_t next = session.next_of_user, previous = session.previous_of_user;
  if (next != IndexTable::kNone) sessions_[next]->previous_of_user = previous;
  if (previous != IndexTable::kNone)
    sessions_[previous]->next_of_user = next;
  else if (next != IndexTable::kNone)
    users_.replace(hash, connection.index, next);
  else
    users_.erase(hash, connection.index);
}

void Sessions::reload(SessionOptions options, const Time& now) {
  options_ = std::move(options);
  for (std::uint32_t index = 0; index < sessions_.slots(); ++index) {
    Session* session = sessions_[index];
    if (session == nullptr) continue;
    if (session->identity == nullptr && session->restricted != options_.auth_required) {
      if (options_.auth_required)
        restrict(*session, now);
      else
        lift_restriction(*session);
      outbound_.deadline_changed({index, session->generation});
    }
    if (!session->of_user || session->user_counted) continue;
    if (tenant_of(*session).limits.guard.connections_per_user == 0) continue;
    shared_.limits.count_user(session->shared_keys.user, now.mono_ms());
    session->user_counted = true;
  }
}

void Sessions::close(Handle connection, const Time& now) {
  Session* session = find(connection);
  if (session == nullptr) return;
  if (!session->activity.empty()) judge_activity(connection, *session, now);
  while (!session->subscriptions.empty())
    end_subscription(connection, *session, session->subscriptions.back());
  if (session->extras) {
    for (Entered& entered : session->extras->entered) {
      const ShardId home = home_of(entered.channel);
      post_(home, DepartCommand{.channel = std::move(entered.channel), .author = std::move(entered.author)});
    }
  }
  forget_user(connection, *session, now);
  forget_author(connection);
  if (session->replies) {
    session->replies->clear();
    retire_replies(*session);
  }
  --counts_of(session->tenant).connections;
  --counts_of(session->tenant).health[static_cast<std::size_t>(session->health.status())];
  sessions_.erase(connection.index);
}

// Ends a session from our side; close() follows when the connection is gone.
void Sessions::end(Handle connection, Session& session, std::uint16_t code, std::string_view reason) {
  session.closing = true;
  if (session.extras) session.extras->ends_with.reset();
  outbound_.close(connection, code, reason);
}

// The same for what the connection's own requests led to: each of them is answered first (protocol §2, §6).
void Sessions::end_answered(Handle connection, Session& session, ErrorCode why) {
  if (!session.replies || session.replies->empty()) return end(connection, session, 1008, name_of(why));
  session.closing = true;
  session.more().ends_with = why;
}

std::int64_t Sessions::next_deadline_ms(Handle connection, const Time& now) const {
  constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  const Session* found = session(connection);
  if (found == nullptr || found->ended()) return kNever;
  const std::int64_t authenticate_by_ms = found->extras ? found->extras->authenticate_by_ms : 0;
  std::int64_t deadline = authenticate_by_ms == 0 ? kNever : authenticate_by_ms;
  if (found->identity != nullptr && found->identity->expires_at_ms) {
    const std::int64_t expires_in = *found->identity->expires_at_ms - now.unix_ms;
    const std::int64_t due_in =
        found->expiry_warned ? expires_in + leeway_ms(*found) : expires_in - kExpiryWarningMs;
    deadline = std::min(deadline, now.mono_ms() + std::max<std::int64_t>(due_in, 0));
  }
  return deadline;
}

std::int64_t Sessions::leeway_ms(const Session& session) const {
  return tenant_of(session).verifier.options().leeway_ms;
}

void Sessions::on_timer(Handle connection, const Time& now) {
  Session* session = find(connection);
  if (session == nullptr || session->ended()) return;
  const auto expel = [&](ErrorCode code) {
    outbound_.send(connection, protocol::auth_error_message(fail(code).error(), {}));
    end(connection, *session, 1008, name_of(code));
  };
  const std::int64_t authenticate_by_ms = session->extras ? session->extras->authenticate_by_ms : 0;
  if (authenticate_by_ms != 0 && authenticate_by_ms <= now.mono_ms()) return expel(ErrorCode::auth_timeout);
  if (session->identity == nullptr || !session->identity->expires_at_ms) return;
  const std::int64_t expires_at = *session->identity->expires_at_ms;
  // As long as the token would still be taken.
  if (expires_at + leeway_ms(*session) <= now.unix_ms) return expel(ErrorCode::token_expired);
  if (!session->expiry_warned && expires_at - kExpiryWarningMs <= now.unix_ms) {
    session->expiry_warned = true;
    // The inbox's own `subscribed` comes right after `connected` or `auth_success` (protocol §7).
    reply(connection, *session, MessageWriter("auth_expiring").number("expires_at", expires_at).finish());
  }
}

void Sessions::user_gone(TenantId tenant, const std::string& user_id) {
  const Error error = fail(ErrorCode::user_not_found).error();
  each_of_user(tenant, user_id, [&](Handle connection, Session& session) {
    if (session.ended()) return;
    outbound_.send(connection, protocol::auth_error_message(error, {}));
    end(connection, session, 1008, name_of(error.code));
  });
}

std::vector<std::pair<TenantId, std::string>> Sessions::next_users(std::size_t count) {
  std::vector<std::pair<TenantId, std::string>> out;
  for (std::size_t seen = 0; seen < sessions_.slots() && out.size() < count; ++seen) {
    looked_at_ = (looked_at_ + 1) % sessions_.slots();
    const Session* session = sessions_[looked_at_];
    // A user is named with the first of its connections.
    if (session != nullptr && session->of_user && session->previous_of_user == IndexTable::kNone)
      out.emplace_back(session->tenant, session->identity->user_id);
  }
  return out;
}

void Sessions::announce_drain(Handle connection, std::int64_t after_ms) {
  if (find(connection) == nullptr) return;
  outbound_.send(connection,
                 MessageWriter("reconnect").number("after_ms", after_ms).text("reason", "draining").finish());
}

}  // namespace tidewire::hub
