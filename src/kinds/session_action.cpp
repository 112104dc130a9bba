#include "kinds/session_action.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/characters.h"
#include "base/json_text.h"
#include "kinds/payload.h"

namespace tidewire::kinds {

namespace {

using protocol::JsonType;
using protocol::JsonValue;
using Kind = SessionAction::Kind;

constexpr std::size_t kUserBytesMax = 200;

Result<std::uint64_t> seq_in(const Event& event, JsonValue data) {
  if (data.type == JsonType::object) {
    const std::vector<protocol::JsonMember> members = members_of(data);
    const JsonValue* value = last_named(members, "seq");
    const auto seq = value == nullptr ? std::nullopt : protocol::integer_of(*value);
    if (seq && *seq >= 0 && *seq <= kJsonIntegerMax) return static_cast<std::uint64_t>(*seq);
  }
  return fail(ErrorCode::invalid_event, fmt::format("the data of `{}` is {{\"seq\":n}}", event.name));
}

Result<NamedUser> user_in(const Event& event, JsonValue data) {
  if (data.type != JsonType::null && data.type != JsonType::object)
    return fail(ErrorCode::invalid_event, fmt::format("the data of `{}` is an object", event.name));
  if (data.type == JsonType::object) {
    const std::vector<protocol::JsonMember> members = members_of(data);
    if (const JsonValue* id = last_named(members, "user")) {
      if (auto user = user_named(*id)) return std::move(*user);
      return fail(ErrorCode::invalid_event,
                  "`user` must be an integer up to 2^53-1 or a string of 1 to 200 channel characters");
    }
  }
  if (event.user_id.empty())
    return fail(ErrorCode::invalid_event, fmt::format("this `{}` must name its `user`", event.name));
  return NamedUser{event.user_id, event.user_json.empty() ? json_string(event.user_id) : event.user_json};
}

}  // namespace

std::optional<NamedUser> user_named(JsonValue id) {
  if (id.type == JsonType::number) {
    const auto number = protocol::integer_of(id);
    if (!number || *number > kJsonIntegerMax || *number < -kJsonIntegerMax) return std::nullopt;
    const std::string text = std::to_string(*number);
    return NamedUser{text, text};
  }
  if (id.type != JsonType::string) return std::nullopt;
  std::string text = protocol::unescape(id);
  if (text.empty() || text.size() > kUserBytesMax) return std::nullopt;
  if (!std::ranges::all_of(text, is_channel_character)) return std::nullopt;
  std::string json = json_string(text);
  return NamedUser{std::move(text), std::move(json)};
}

Kind session_action_kind(std::string_view event_name) {
  if (event_name.empty() || event_name == "message") return Kind::message;
  if (event_name == "edit") return Kind::edit;
  if (event_name == "delete") return Kind::remove;
  if (event_name == "read") return Kind::read;
  if (event_name == "join") return Kind::join;
  if (event_name == "leave") return Kind::leave;
  return Kind::custom;
}

Result<SessionAction> session_action_of(const Event& event) {
  SessionAction action{.kind = session_action_kind(event.name)};
  // What is in the others' data is the application's business.
  if (action.kind == Kind::message || action.kind == Kind::custom) return action;
  const auto data = protocol::scan_json(event.payload, kPayloadDepthMax);
  if (!data) return fail(ErrorCode::invalid_event, "the data can't be read");
  if (action.kind == Kind::join || action.kind == Kind::leave) {
    auto user = user_in(event, *data);
    if (!user) return std::unexpected(std::move(user.error()));
    action.user = std::move(*user);
  } else {
    const auto seq = seq_in(event, *data);
    if (!seq) return std::unexpected(seq.error());
    action.seq = *seq;
  }
  return action;
}

}  // namespace tidewire::kinds
