// What an event of a session channel asks for, read from its name and data: the part of the kind's rules
// that needs no state. A value; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "kinds/event.h"
#include "protocol/json_scanner.h"

namespace tidewire::kinds {

// A user as an id in JSON names it (protocol §1).
struct NamedUser {
  std::string id;    // string form: identity is this
  std::string json;  // `1` or `"1"`
};

// nullopt: neither an integer of at most 2^53-1 without fraction or exponent, nor a string of 1 to 200
// channel characters.
std::optional<NamedUser> user_named(protocol::JsonValue id);

struct SessionAction {
  enum class Kind : std::uint8_t { message, edit, remove, read, join, leave, custom };
  Kind kind = Kind::custom;
  std::uint64_t seq = 0;  // of edit, remove and read
  NamedUser user = {};    // of join and leave: `data.user`, or else the author
};

SessionAction::Kind session_action_kind(std::string_view event_name);

// invalid_event: the data has not the shape that its name asks for, or a `join` or `leave` names nobody.
Result<SessionAction> session_action_of(const Event& event);

}  // namespace tidewire::kinds
