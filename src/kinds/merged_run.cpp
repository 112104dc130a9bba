#include "kinds/merged_run.h"

#include <algorithm>
#include <array>

#include "base/json_text.h"
#include "kinds/payload.h"

namespace tidewire::kinds {

namespace {

// Each flag of any of the runs once, as a JSON array; empty for none.
std::string flags_of(std::span<const Run> runs) {
  std::vector<std::string_view> flags;
  for (const Run& run : runs) {
    if (run.body.view().find("\"flags\":[") == std::string_view::npos) continue;
    const std::string_view list = event_of(run.body, 0).flags_json;
    if (list.empty()) continue;
    for (const auto& flag : protocol::split_array({.type = protocol::JsonType::array, .text = list}))
      if (std::ranges::find(flags, flag.text) == flags.end()) flags.push_back(flag.text);
  }
  std::string out;
  for (const std::string_view flag : flags) {
    out += out.empty() ? '[' : ',';
    out += flag;
  }
  if (!out.empty()) out += ']';
  return out;
}

}  // namespace

Run merged_run(std::span<const Run> runs, std::string_view name, std::string_view payload) {
  static constexpr std::array<std::string_view, 7> kWrittenAnew{"seq",  "first_seq", "timestamp", "flags",
                                                                "data", "merge",     "patch"};
  const Run& first = runs.front();
  const Run& last = runs.back();
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
  if (const std::string flags = flags_of(runs); !flags.empty()) append("flags", flags);
  append(name, payload);
  return {.first = first.first, .last = last.last, .body = SharedBytes(head, "}")};
}

}  // namespace tidewire::kinds
