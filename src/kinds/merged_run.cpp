#include "kinds/merged_run.h"

#include <algorithm>
#include <array>

#include "base/json_text.h"
#include "kinds/payload.h"

namespace tidewire::kinds {

Run merged_run(const Run& first, const Run& last, std::string_view name, std::string_view payload) {
  static constexpr std::array<std::string_view, 6> kWrittenAnew{"seq",  "first_seq", "timestamp",
                                                                "data", "merge",     "patch"};
  const auto members = members_of({.type = protocol::JsonType::object, .text = last.body.view()});
  std::string head = "\"seq\":";
  append_json_int(head, last.last);
  if (first.first != last.last) {
    head += ",\"first_seq\":";
    append_json_int(head, first.first);
  }
  const auto append = [&head](std::string_view key, std::string_view value) {
    head += ',';
    append_json_string(head, key);
    head += ':';
    head += value;
  };
  if (const auto* timestamp = last_named(members, "timestamp")) append("timestamp", timestamp->text);
  for (const auto& [key, value] : members)
    if (std::ranges::find(kWrittenAnew, key) == kWrittenAnew.end()) append(key, value.text);
  append(name, payload);
  return {.first = first.first, .last = last.last, .body = SharedBytes(head, "}")};
}

}  // namespace tidewire::kinds
