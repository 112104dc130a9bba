#include "kinds/agent.h"

#include <array>
#include <limits>

#include "base/json_text.h"
#include "kinds/merged_run.h"
#include "kinds/payload.h"

namespace tidewire::kinds {

using protocol::JsonMember;
using protocol::JsonType;
using protocol::JsonValue;

namespace {

// A merged delivery stays well below the message sizes that clients allow by default.
constexpr std::size_t kMergedTextBytesMax = std::size_t{256} << 10;

// What stands between the quotes of a delta's `text`; nullopt: there is no such string.
std::optional<std::string_view> delta_text(const std::vector<JsonMember>& members) {
  const JsonValue* text = last_named(members, "text");
  if (text == nullptr || text->type != JsonType::string) return std::nullopt;
  return text->text.substr(1, text->text.size() - 2);
}

std::optional<std::string_view> delta_text(const Event& event) {
  return delta_text(members_of(value_of(event.payload)));
}

void append_time(std::string& out, std::int64_t ms) {
  if (ms == 0)
    out += "null";
  else
    append_json_int(out, ms);
}

bool may_be_ephemeral(std::string_view name) {
  static constexpr std::array<std::string_view, 7> kLasting{"start",    "delta", "tool_call", "tool_result",
                                                            "complete", "fail",  "cancel"};
  return std::ranges::find(kLasting, name) == kLasting.end();
}

}  // namespace

Result<void> Agent::admit(const Event& event, const Asker& asker) const {
  if (event.name == "cancel" && asker.may_subscribe) return {};
  return OwnedRun::admit(event, asker);
}

Result<Taken> Agent::take(const Event& event, const Asker& asker) {
  auto judged = judge(event, asker);
  if (judged && event.seq != 0)
    fold(event);
  else if (judged)
    claim(event);
  return judged;
}

Result<Taken> Agent::judge(const Event& event, const Asker&) const {
  if (auto open = check(event); !open) return std::unexpected(open.error());
  if (event.seq == 0) {
    if (may_be_ephemeral(event.name)) return Taken{};
    return fail(ErrorCode::invalid_event, "`" + event.name + "` can't be ephemeral");
  }
  if (event.name == "delta") {
    const auto text = delta_text(event);
    if (!text) return fail(ErrorCode::invalid_event, "`delta` needs `data` with a string `text`");
    if (text_.size() + text->size() > options_.text_bytes_max)
      return fail(ErrorCode::too_large, "the text of the run would be longer than " +
                                            std::to_string(options_.text_bytes_max) + " bytes");
  }
  return Taken{};
}

void Agent::replay(const Event& event) {
  if (event.seq == 0 || !check(event)) return;
  if (event.name == "delta" && !delta_text(event)) return;
  fold(event);
}

void Agent::fold(const Event& event) {
  note(event);
  if (started_ms_ == 0) started_ms_ = event.timestamp_ms;
  if (ended()) ended_ms_ = event.timestamp_ms;
  if (event.name == "delta") {
    text_ += delta_text(event).value_or("");
  } else if (event.name == "tool_call") {
    tools_.call(event.payload);
  } else if (event.name == "tool_result") {
    tools_.result(event.payload);
  } else if (event.name == "status") {
    detail_ = event.payload;
  } else if (event.name == "complete") {
    const auto members = members_of(value_of(event.payload));
    if (const JsonValue* usage = last_named(members, "usage")) usage_ = usage->text;
  }
}

std::string Agent::snapshot(std::int64_t) const {
  static constexpr std::string_view kStatusNames[] = {"pending", "running", "complete", "failed",
                                                      "cancelled"};
  std::string out = "{\"status\":\"";
  out += kStatusNames[static_cast<std::size_t>(status())];
  out += "\",\"text\":\"";
  out += text_;
  out += "\",\"tools\":";
  out += tools_.json();
  out += ",\"started_at\":";
  append_time(out, started_ms_);
  out += ",\"ended_at\":";
  append_time(out, ended_ms_);
  out += ",\"usage\":";
  out += usage_;
  if (!detail_.empty()) out += ",\"detail\":" + detail_;
  out += '}';
  return out;
}

std::string Agent::save() const {
  std::string out = "{";
  save_run(out);
  tools_.save(out);
  out += "\"started_ms\":";
  append_json_int(out, started_ms_);
  out += ",\"ended_ms\":";
  append_json_int(out, ended_ms_);
  if (!detail_.empty()) out += ",\"detail\":" + detail_;
  out += ",\"usage\":" + usage_ + ",\"text\":\"" + text_ + "\"}";
  return out;
}

bool Agent::restore(std::string_view saved) {
  *this = Agent(options_);
  const auto object = protocol::scan_json(saved, kPayloadDepthMax);
  if (!object || object->type != JsonType::object) return false;
  protocol::Fields fields(*object);
  Agent read(options_);
  const auto started_ms = fields.integer("started_ms", 0, kSavedTimeMax);
  const auto ended_ms = fields.integer("ended_ms", 0, kSavedTimeMax);
  const JsonValue* text = fields.find("text");
  if (!read.restore_run(fields) || !read.tools_.restore(fields) || !started_ms || !ended_ms ||
      text == nullptr || text->type != JsonType::string || !fields.has("usage"))
    return false;
  read.started_ms_ = *started_ms;
  read.ended_ms_ = *ended_ms;
  read.text_ = text->text.substr(1, text->text.size() - 2);
  read.usage_ = fields.raw("usage");
  read.detail_ = fields.raw("detail");
  *this = std::move(read);
  return true;
}

std::optional<std::vector<Run>> Agent::conflate(std::vector<Run>&& runs) const {
  std::vector<Run> out;
  std::size_t first = 0;  // of the deltas in a row
  std::string text;
  const auto flush = [&](std::size_t end) {
    if (end - first == 1) out.push_back(std::move(runs[first]));
    if (end - first > 1) {
      const auto members = members_of(value_of(event_of(runs[end - 1].body, 0).payload));
      const std::string data = "{" + members_without(members, "text") + "\"text\":\"" + text + "\"}";
      out.push_back(merged_run(std::span(runs).subspan(first, end - first), "data", data));
    }
    first = end;
    text.clear();
  };
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Event event = event_of(runs[i].body, 0);
    const auto added = event.name == "delta" ? delta_text(event) : std::nullopt;
    if (!added || text.size() + added->size() > kMergedTextBytesMax) flush(i);
    if (added) {
      text += *added;
    } else {
      out.push_back(std::move(runs[i]));
      first = i + 1;
    }
  }
  flush(runs.size());
  return out;
}

}  // namespace tidewire::kinds
