// What a shard's connections say to a question that goes to all shards.

#include <algorithm>

#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

AnswerPart Sessions::answer(const Question& question, const Time& now) {
  AnswerPart part;
  std::visit([&](const auto& asked) { answer(asked, part, now); }, question);
  return part;
}

void Sessions::answer(const UserQuery& query, AnswerPart& part, const Time&) {
  each_of_user(query.tenant, query.user_id, [&](Handle, const Session& session) {
    part.connections.push_back({.connection_id = connection_name(session.connection_id),
                                .connected_at_ms = session.connected_at_ms,
                                .health = session.health});
    part.user_json.clear();
    auth::append_user_id_json(part.user_json, *session.identity);
  });
}

void Sessions::answer(const DisconnectUser& disconnect, AnswerPart& part, const Time&) {
  each_of_user(disconnect.tenant, disconnect.user_id, [&](Handle connection, Session& session) {
    if (session.ended()) return;
    end(connection, session, 1000, "disconnected");
    ++part.count;
  });
}

void Sessions::answer(const RevokeUser& revoke, AnswerPart& part, const Time& now) {
  each_of_user(revoke.tenant, revoke.user_id, [&](Handle connection, Session& session) {
    if (session.ended()) return;
    const auto verdict = tenant_of(session).verifier.still_good(*session.identity, now);
    if (verdict) return;
    outbound_.send(connection, protocol::auth_error_message(verdict.error(), {}));
    end(connection, session, 1008, name_of(verdict.error().code));
    ++part.count;
  });
}

void Sessions::answer(const BroadcastAll& broadcast, AnswerPart& part, const Time&) {
  protocol::DeliveryBatch batch;
  batch.add(broadcast.json.view());
  for (std::uint32_t index = 0; index < sessions_.slots(); ++index) {
    const Session* session = sessions_[index];
    if (session == nullptr || session->tenant != broadcast.tenant || session->closing) continue;
    const Handle connection{index, session->generation};
    if (outbound_.push(connection, batch, 0, 1, {})) ++part.count;
  }
}

// It is the homes that know of channels.
void Sessions::answer(const ListChannels&, AnswerPart&, const Time&) {}

void Sessions::answer(const CountThings&, AnswerPart& part, const Time&) {
  part.tenants = counts_;
  part.counts = counts();
  users_.for_each([&](std::uint32_t index) {
    part.users.emplace_back(sessions_[index]->tenant, sessions_[index]->shared_keys.user.low);
  });
}

void Sessions::answer(const ListConnections& list, AnswerPart& part, const Time&) {
  const auto place = [](const Session* session) {
    return std::pair(session->connected_at_ms, session->connection_id);
  };
  std::vector<const Session*> listed;
  for (std::size_t index = 0; index < sessions_.slots(); ++index) {
    const Session* session = sessions_[index];
    if (session == nullptr || session->tenant != list.tenant || session->closing) continue;
    if (place(session) > list.after) listed.push_back(session);
  }
  const std::size_t count = std::min(listed.size(), list.limit);
  std::ranges::partial_sort(listed, listed.begin() + static_cast<std::ptrdiff_t>(count), {}, place);
  listed.resize(count);
  for (const Session* session : listed) {
    ConnectionInfo& info = part.connections.emplace_back();
    info.connection_id = connection_name(session->connection_id);
    info.connected_at_ms = session->connected_at_ms;
    if (session->identity) auth::append_user_id_json(info.user_json, *session->identity);
  }
}

}  // namespace tidewire::hub
