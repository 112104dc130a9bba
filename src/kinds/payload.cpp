#include "kinds/payload.h"

#include <algorithm>
#include <ranges>

#include "base/json_text.h"

namespace tidewire::kinds {

using protocol::JsonMember;
using protocol::JsonType;
using protocol::JsonValue;

JsonValue value_of(std::string_view text) {
  const auto type = [&text] {
    switch (text.empty() ? 'n' : text.front()) {
      case '{':
        return JsonType::object;
      case '[':
        return JsonType::array;
      case '"':
        return JsonType::string;
      case 't':
      case 'f':
        return JsonType::boolean;
      case 'n':
        return JsonType::null;
      default:
        return JsonType::number;
    }
  };
  return {.type = type(), .text = text};
}

std::vector<JsonMember> members_of(JsonValue value) {
  std::vector<JsonMember> members;
  if (value.type == JsonType::object) protocol::split_object(value, members);
  return members;
}

const JsonValue* last_named(const std::vector<JsonMember>& members, std::string_view name) {
  const auto latest_first = members | std::views::reverse;
  const auto found = std::ranges::find(latest_first, name, &JsonMember::key);
  return found == latest_first.end() ? nullptr : &found->value;
}

std::string members_without(const std::vector<JsonMember>& members, std::string_view name) {
  std::string out;
  for (const JsonMember& member : members) {
    if (member.key == name) continue;
    append_json_string(out, member.key);
    out += ':';
    out += member.value.text;
    out += ',';
  }
  return out;
}

}  // namespace tidewire::kinds
