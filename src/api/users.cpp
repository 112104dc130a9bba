// Users: who is connected, how well, and ending it (protocol §8).

#include <algorithm>
#include <charconv>

#include "api/answers.h"
#include "api/query.h"
#include "api/router.h"
#include "base/base64url.h"
#include "base/json_text.h"

namespace tidewire::api {

namespace {

constexpr auto kOldestFirst = [](const hub::ConnectionInfo& connection) {
  return std::tie(connection.connected_at_ms, connection.connection_id);
};

// A JSON array of what `render` makes of each connection, the oldest first.
template <class Render>
std::string connections_json(std::vector<hub::ConnectionInfo> connections, Render&& render) {
  std::ranges::sort(connections, {}, kOldestFirst);
  std::string list = "[";
  for (const hub::ConnectionInfo& connection : connections) {
    if (list.size() > 1) list += ',';
    list += render(connection);
  }
  list += ']';
  return list;
}

std::string cursor_of(const hub::ConnectionInfo& connection) {
  return base64url_encode(std::to_string(connection.connected_at_ms) + ' ' + connection.connection_id);
}

// What cursor_of() wrote: when that one was connected, and the number in its name.
std::optional<std::pair<std::int64_t, std::uint64_t>> place_of(std::string_view cursor) {
  const auto text = base64url_decode(cursor);
  if (!text) return std::nullopt;
  const std::size_t space = text->find(" c-");
  if (space == std::string::npos) return std::nullopt;
  const char* const begin = text->data();
  const char* const end = begin + text->size();
  std::pair<std::int64_t, std::uint64_t> place;
  const auto at = std::from_chars(begin, begin + space, place.first);
  const auto number = std::from_chars(begin + space + 3, end, place.second, 16);
  if (at.ec != std::errc() || at.ptr != begin + space || number.ec != std::errc() || number.ptr != end)
    return std::nullopt;
  return place;
}

std::string health_json(const hub::ConnectionInfo& connection, const guard::HealthLimits& limits) {
  const guard::ConnectionHealth& health = connection.health;
  const guard::ConnectionHealth::Parts parts = health.parts(limits);
  const std::int64_t latency_us = health.latency_us();
  return protocol::MessageWriter()
      .text("connection_id", connection.connection_id)
      .json("score", decimal(parts.total()))
      .text("status", guard::name_of(health.status()))
      .json("latency_ms", latency_us >= 0 ? decimal(static_cast<double>(latency_us) / 1000) : "null")
      .json("error_rate", decimal(health.error_rate()))
      .json("activity", decimal(parts.activity))
      .finish();
}

}  // namespace

void Router::user(Call& call) {
  std::string id = std::move(call.segments.front());
  if (!auth::valid_user_id(id)) return call.respond(problem_answer(ErrorCode::invalid_message, kUserIdRule));
  if (!knows_user(call, id)) return;
  calls_.ask_all(
      hub::UserQuery{.tenant = call.caller.tenant, .user_id = id},
      [id, respond = std::move(call.respond)](const hub::AnswerPart& answer) {
        const auto render = [&](const hub::ConnectionInfo& connection) {
          return protocol::MessageWriter()
              .text("connection_id", connection.connection_id)
              .number("connected_at", connection.connected_at_ms)
              .text("health", guard::name_of(connection.health.status()))
              .finish();
        };
        // The id as the user's token spells it; nobody knows that of one who is offline.
        respond(json_answer(protocol::MessageWriter()
                                .json("user", answer.user_json.empty() ? json_string(id) : answer.user_json)
                                .number("online", static_cast<std::uint64_t>(answer.connections.size()))
                                .json("connections", connections_json(answer.connections, render))
                                .finish()));
      });
}

void Router::disconnect(Call& call) {
  std::string id = std::move(call.segments.front());
  if (!auth::valid_user_id(id)) return call.respond(problem_answer(ErrorCode::invalid_message, kUserIdRule));
  calls_.ask_all(
      hub::DisconnectUser{.tenant = call.caller.tenant, .user_id = std::move(id)},
      [respond = std::move(call.respond)](const hub::AnswerPart& answer) {
        respond(json_answer(protocol::MessageWriter().number("disconnected", answer.count).finish()));
      });
}

// First it is on the disk. Then each shard takes it into its list and ends the connections that it forbids,
// also of who has come back from another one meanwhile.
void Router::revoke(Call& call) {
  const std::string id = std::move(call.segments.front());
  if (!auth::valid_user_id(id)) return call.respond(problem_answer(ErrorCode::invalid_message, kUserIdRule));
  if (!hooks_.revoke)
    return call.respond(problem_answer(ErrorCode::unavailable, "revocation is not available"));
  const hub::TenantId tenant = call.caller.tenant;
  const std::int64_t before_ms = call.now.unix_ms;
  hooks_.revoke(tenant, id, before_ms,
                [this, tenant, id, before_ms, respond = std::move(call.respond)](const Result<void>& listed) {
                  if (!listed) return respond(problem_answer(listed.error()));
                  calls_.ask_all(hub::RevokeUser{.tenant = tenant, .user_id = id, .before_ms = before_ms},
                                 [before_ms, respond](const hub::AnswerPart& answer) {
                                   respond(json_answer(protocol::MessageWriter()
                                                           .number("revoked_before", before_ms)
                                                           .number("disconnected", answer.count)
                                                           .finish()));
                                 });
                });
}

void Router::connection_health(Call& call) {
  auto asked = query_text(call.request.query, "user");
  if (!asked) return call.respond(problem_answer(asked.error()));
  if (!pass_rate(call)) return;
  auto id = std::move(*asked);
  if (!call.caller.server) {
    const std::string own(call.caller.identity->user_id);
    if (id && *id != own)
      return call.respond(
          problem_answer(ErrorCode::forbidden, "a user's token shows that user's connections only"));
    id = own;
  }
  if (!id || !auth::valid_user_id(*id))
    return call.respond(problem_answer(ErrorCode::invalid_message, "`user` must be a user's id"));
  if (call.caller.server && !knows_user(call, *id)) return;
  calls_.ask_all(
      hub::UserQuery{.tenant = call.caller.tenant, .user_id = std::move(*id)},
      [limits = options_.health, respond = std::move(call.respond)](const hub::AnswerPart& answer) {
        const auto render = [&](const hub::ConnectionInfo& connection) {
          return health_json(connection, limits);
        };
        respond(json_answer(protocol::MessageWriter()
                                .json("connections", connections_json(answer.connections, render))
                                .finish()));
      });
}

void Router::list_connections(Call& call) {
  const auto wanted = query_integer(call.request.query, "limit", 1, kJsonIntegerMax);
  if (!wanted) return call.respond(problem_answer(wanted.error()));
  const auto limit = static_cast<std::size_t>(std::min<std::int64_t>(wanted->value_or(100), 1000));
  std::pair<std::int64_t, std::uint64_t> after;
  const auto cursor = query_text(call.request.query, "cursor");
  if (!cursor) return call.respond(problem_answer(cursor.error()));
  if (*cursor && !(*cursor)->empty()) {
    const auto place = place_of(**cursor);
    if (!place)
      return call.respond(problem_answer(ErrorCode::invalid_message, "`cursor` is not one of ours"));
    after = *place;
  }
  calls_.ask_all(hub::ListConnections{.tenant = call.caller.tenant, .after = after, .limit = limit + 1},
                 [limit, respond = std::move(call.respond)](const hub::AnswerPart& answer) {
                   std::vector<hub::ConnectionInfo> listed = answer.connections;
                   std::ranges::sort(listed, {}, kOldestFirst);
                   const bool has_more = listed.size() > limit;
                   if (has_more) listed.resize(limit);
                   const std::string next = has_more ? json_string(cursor_of(listed.back())) : "null";
                   const auto render = [](const hub::ConnectionInfo& connection) {
                     return protocol::MessageWriter()
                         .text("connection_id", connection.connection_id)
                         .json("user", connection.user_json.empty() ? "null" : connection.user_json)
                         .number("connected_at", connection.connected_at_ms)
                         .finish();
                   };
                   respond(json_answer(protocol::MessageWriter()
                                           .json("connections", connections_json(std::move(listed), render))
                                           .json("next", next)
                                           .finish()));
                 });
}

}  // namespace tidewire::api
