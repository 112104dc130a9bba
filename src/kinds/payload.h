// Reading an event's payload as slices of its text, nothing decoded. Pure; the text must be valid JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocol/json_scanner.h"

namespace tidewire::kinds {

// The value that the text is.
protocol::JsonValue value_of(std::string_view text);

// An object's members, doubled keys included; none of another value.
std::vector<protocol::JsonMember> members_of(protocol::JsonValue value);

// Null where there is none. Of a key that stands twice the last one counts.
const protocol::JsonValue* last_named(const std::vector<protocol::JsonMember>& members,
                                      std::string_view name);

// The text of the members but one, each with a comma behind it.
std::string members_without(const std::vector<protocol::JsonMember>& members, std::string_view name);

}  // namespace tidewire::kinds
