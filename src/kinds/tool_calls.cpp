#include "kinds/tool_calls.h"

#include <algorithm>
#include <ranges>

#include "base/json_text.h"
#include "kinds/payload.h"

namespace tidewire::kinds {

using protocol::JsonMember;
using protocol::JsonType;
using protocol::JsonValue;

namespace {

std::string id_in(const std::vector<JsonMember>& members) {
  const JsonValue* id = last_named(members, "id");
  if (id == nullptr) return {};
  if (id->type == JsonType::string) return '"' + protocol::unescape(*id);
  return id->type == JsonType::number ? std::string(id->text) : std::string();
}

std::string with_result(std::string_view call, std::string_view result) {
  const std::vector<JsonMember> members = members_of(value_of(call));
  std::string out = "{" + members_without(members, "result");
  out += "\"result\":";
  out += result;
  out += '}';
  return out;
}

}  // namespace

void ToolCalls::call(std::string_view data) {
  const JsonValue value = value_of(data);
  Call call;
  if (value.type == JsonType::object)
    call.json = data;
  else
    call.json.append("{\"data\":").append(data).append("}");
  call.id = id_in(members_of(value));
  full_ = full_ || calls_.size() >= bounds_.calls_max || bytes_ + call.json.size() > bounds_.bytes_max;
  if (full_) return;
  bytes_ += call.json.size();
  calls_.push_back(std::move(call));
}

void ToolCalls::result(std::string_view data) {
  const std::vector<JsonMember> members = members_of(value_of(data));
  const std::string id = id_in(members);
  if (id.empty() && full_) return;
  const auto latest_first = calls_ | std::views::reverse;
  const auto found = std::ranges::find_if(
      latest_first, [&id](const Call& call) { return call.open && (id.empty() || call.id == id); });
  if (found == latest_first.end()) return;
  found->open = false;
  const JsonValue* result = last_named(members, "result");
  std::string json = with_result(found->json, result == nullptr ? data : result->text);
  const std::size_t bytes = bytes_ - found->json.size() + json.size();
  if (bytes > bounds_.bytes_max) return;
  bytes_ = bytes;
  found->json = std::move(json);
}

std::string ToolCalls::json() const {
  std::string out = "[";
  for (const Call& call : calls_) {
    if (out.size() > 1) out += ',';
    out += call.json;
  }
  out += ']';
  return out;
}

void ToolCalls::save(std::string& out) const {
  out += "\"tools\":" + json() + ",\"open_tools\":[";
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    if (i > 0) out += ',';
    out += calls_[i].open ? "true" : "false";
  }
  out += full_ ? "],\"tools_full\":true," : "],\"tools_full\":false,";
}

bool ToolCalls::restore(protocol::Fields& saved) {
  const JsonValue* tools = saved.find("tools");
  const JsonValue* open_tools = saved.find("open_tools");
  const bool full = saved.boolean("tools_full", false);
  if (!saved.ok() || tools == nullptr || open_tools == nullptr || tools->type != JsonType::array ||
      open_tools->type != JsonType::array)
    return false;
  const auto entries = protocol::split_array(*tools);
  const auto open = protocol::split_array(*open_tools);
  if (entries.size() != open.size()) return false;
  std::vector<Call> calls;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].type != JsonType::object || open[i].type != JsonType::boolean) return false;
    calls.push_back({.json = std::string(entries[i].text),
                     .id = id_in(members_of(entries[i])),
                     .open = open[i].text == "true"});
    bytes += entries[i].text.size();
  }
  calls_ = std::move(calls);
  bytes_ = bytes;
  full_ = full;
  return true;
}

}  // namespace tidewire::kinds
