#include "hub/sessions.h"

#include <xxhash.h>

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
      replica_by_name_(0, ChannelKeyHash{options_.hash_seed}) {}

Session* Sessions::find(Handle connection) {
  if (connection.index >= sessions_.size()) return nullptr;
  Session* session = sessions_[connection.index].get();
  return session != nullptr && session->generation == connection.generation ? session : nullptr;
}

const Session* Sessions::session(Handle connection) const {
  return const_cast<Sessions*>(this)->find(connection);
}

bool Sessions::can_take(Handle connection) const {
  const Session* found = session(connection);
  if (found == nullptr) return true;
  const ToSubscribe* rest = found->to_subscribe.get();
  if (rest != nullptr && awaits_subscribed(*found, rest->items.front().item.channel)) return false;
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

const std::shared_ptr<const Author>& Sessions::author_of(Session& session) {
  if (!session.author) session.author = make_author(session.identity.get(), session.connection_id);
  return session.author;
}

void Sessions::open(Handle connection, Opening&& opening, const Time& now) {
  if (connection.index >= sessions_.size()) sessions_.resize(connection.index + 1);
  auto& slot = sessions_[connection.index];
  TIDEWIRE_CHECK(slot == nullptr);
  slot = std::make_unique<Session>();
  Session& session = *slot;
  session.generation = connection.generation;
  session.tenant = opening.tenant;
  session.connection_id = opening.connection_id;
  session.connected_at_ms = now.unix_ms;
  session.manual_inbox = opening.manual_inbox;
  session.address = opening.address;
  const Tenant& tenant = tenant_of(session);
  session.shared_keys.address = shared_.keys.address(opening.address, tenant.name);
  ++counts_.connections_opened;
  ++counts_.connections;

  if (opening.identity != nullptr) {
    // A connection over its user's limit gets no `connected` (protocol §9 limits.connections_per_user).
    if (!adopt(connection, session, std::move(opening.identity), now))
      return end(connection, session, 1008, "connection_limit");
  } else if (options_.auth_required) {
    session.restricted = true;
    session.authenticate_by_ms = now.mono_ms() + options_.auth_timeout_ms;
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
bool Sessions::adopt(Handle connection, Session& session, std::shared_ptr<const auth::Identity> identity,
                     const Time& now) {
  const Tenant& tenant = tenant_of(session);
  const guard::LimitKey key = shared_.keys.user(tenant.name, identity->user_id);
  if (shared_.limits.admit_user(key, tenant.limits.guard, now.mono_ms()) != guard::Admission::admitted)
    return false;
  session.shared_keys.user = key;
  session.user_counted = true;
  session.identity = std::move(identity);
  session.author.reset();
  session.restricted = false;
  session.authenticate_by_ms = 0;
  users_[{session.tenant, session.identity->user_id}].push_back(connection);
  return true;
}

void Sessions::forget_user(Handle connection, Session& session, const Time&) {
  if (!session.user_counted) return;
  session.user_counted = false;
  shared_.limits.release_user(session.shared_keys.user);
  const auto found = users_.find({session.tenant, session.identity->user_id});
  std::erase(found->second, connection);
  if (found->second.empty()) users_.erase(found);
}

void Sessions::close(Handle connection, const Time& now) {
  Session* session = find(connection);
  if (session == nullptr) return;
  while (!session->subscriptions.empty())
    end_subscription(connection, *session, session->subscriptions.back());
  for (Entered& entered : session->entered) {
    const ShardId home = home_of(entered.channel);
    post_(home, DepartCommand{.channel = std::move(entered.channel), .author = std::move(entered.author)});
  }
  forget_user(connection, *session, now);
  --counts_.connections;
  sessions_[connection.index].reset();
}

// Ends a session from our side; close() follows when the connection is gone.
void Sessions::end(Handle connection, Session& session, std::uint16_t code, std::string_view reason) {
  session.closing = true;
  outbound_.close(connection, code, reason);
}

std::int64_t Sessions::next_deadline_ms(Handle connection, const Time& now) const {
  constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  const Session* found = session(connection);
  if (found == nullptr || found->closing) return kNever;
  std::int64_t deadline = found->authenticate_by_ms == 0 ? kNever : found->authenticate_by_ms;
  if (found->identity != nullptr && found->identity->expires_at_ms) {
    const std::int64_t ends_in = *found->identity->expires_at_ms - now.unix_ms;
    const std::int64_t due_in = found->expiry_warned ? ends_in : ends_in - kExpiryWarningMs;
    deadline = std::min(deadline, now.mono_ms() + std::max<std::int64_t>(due_in, 0));
  }
  return deadline;
}

void Sessions::on_timer(Handle connection, const Time& now) {
  Session* session = find(connection);
  if (session == nullptr || session->closing) return;
  const auto expel = [&](ErrorCode code) {
    outbound_.send(connection, protocol::auth_error_message(fail(code).error(), {}));
    end(connection, *session, 1008, name_of(code));
  };
  if (session->authenticate_by_ms != 0 && session->authenticate_by_ms <= now.mono_ms())
    return expel(ErrorCode::auth_timeout);
  if (session->identity == nullptr || !session->identity->expires_at_ms) return;
  const std::int64_t expires_at = *session->identity->expires_at_ms;
  if (expires_at <= now.unix_ms) return expel(ErrorCode::token_expired);
  if (!session->expiry_warned && expires_at - kExpiryWarningMs <= now.unix_ms) {
    session->expiry_warned = true;
    outbound_.send(connection, MessageWriter("auth_expiring").number("expires_at", expires_at).finish());
  }
}

void Sessions::announce_drain(Handle connection, std::int64_t after_ms) {
  if (find(connection) == nullptr) return;
  outbound_.send(connection,
                 MessageWriter("reconnect").number("after_ms", after_ms).text("reason", "draining").finish());
}

AnswerPart Sessions::answer(const Question& question, const Time& now) {
  AnswerPart part;
  const auto connections_of = [&](TenantId tenant, const std::string& user_id) {
    const auto found = users_.find({tenant, user_id});
    return found == users_.end() ? std::vector<Handle>() : found->second;
  };
  const auto end_user = [&](TenantId tenant, const std::string& user_id, auto&& farewell) {
    for (const Handle connection : connections_of(tenant, user_id)) {
      Session* session = find(connection);
      if (session == nullptr || session->closing) continue;
      farewell(connection, *session);
      ++part.count;
    }
  };

  if (const auto* query = std::get_if<UserQuery>(&question)) {
    for (const Handle connection : connections_of(query->tenant, query->user_id)) {
      const Session* session = find(connection);
      part.connections.push_back({.connection_id = connection_name(session->connection_id),
                                  .connected_at_ms = session->connected_at_ms,
                                  .round_trip_us = outbound_.round_trip_us(connection)});
      part.user_json.clear();
      auth::append_user_id_json(part.user_json, *session->identity);
    }
  } else if (const auto* disconnect = std::get_if<DisconnectUser>(&question)) {
    end_user(disconnect->tenant, disconnect->user_id,
             [&](Handle connection, Session& session) { end(connection, session, 1000, "disconnected"); });
  } else if (const auto* revoke = std::get_if<RevokeUser>(&question)) {
    end_user(revoke->tenant, revoke->user_id, [&](Handle connection, Session& session) {
      const Tenant& tenant = tenant_of(session);
      const auto verdict = tenant.verifier.still_good(*session.identity, now);
      if (verdict) {
        --part.count;
        return;
      }
      outbound_.send(connection, protocol::auth_error_message(verdict.error(), {}));
      end(connection, session, 1008, name_of(verdict.error().code));
    });
  } else if (const auto* broadcast = std::get_if<BroadcastAll>(&question)) {
    protocol::DeliveryBatch batch;
    batch.add(broadcast->json.view());
    for (const auto& session : sessions_) {
      if (session == nullptr || session->tenant != broadcast->tenant || session->closing) continue;
      const Handle connection{static_cast<std::uint32_t>(&session - sessions_.data()), session->generation};
      if (outbound_.push(connection, batch, 0, 1, {})) ++part.count;
    }
  } else if (std::holds_alternative<CountThings>(question)) {
    part.counts = counts_;
    for (const auto& [user, connections] : users_)
      part.users.push_back(XXH3_64bits_withSeed(user.user_id.data(), user.user_id.size(), user.tenant));
  }
  return part;
}

}  // namespace tidewire::hub
