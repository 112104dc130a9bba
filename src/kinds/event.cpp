#include "kinds/event.h"

#include "base/json_text.h"
#include "protocol/fields.h"

namespace tidewire::kinds {

namespace {

// `from`: {"user":{"id":…,"type":…},"connection":…}; the user is null for an anonymous author.
void read_author(const protocol::Fields& fields, Event& event) {
  const protocol::JsonValue* from = fields.find("from");
  if (from == nullptr || from->type != protocol::JsonType::object) return;
  event.from_json = from->text;
  const protocol::Fields inside(*from);
  const protocol::JsonValue* user = inside.find("user");
  if (user == nullptr || user->type != protocol::JsonType::object) return;
  const protocol::Fields who(*user);
  const protocol::JsonValue* id = who.find("id");
  if (id == nullptr) return;
  event.user_json = id->text;
  event.user_id = id->type == protocol::JsonType::string ? protocol::unescape(*id) : std::string(id->text);
}

}  // namespace

Event event_of(const SharedBytes& body, std::int64_t expires_ms) {
  Event event;
  event.expires_ms = expires_ms;
  event.body = body;
  event.payload = "null";
  protocol::Fields fields({.type = protocol::JsonType::object, .text = body.view()});
  event.seq = static_cast<std::uint64_t>(fields.integer("seq", 0, kJsonIntegerMax).value_or(0));
  event.timestamp_ms = fields.integer("timestamp", 0, kJsonIntegerMax).value_or(0);
  event.name = fields.string("event");
  if (fields.has("priority")) event.priority = protocol::priority_named(fields.string("priority"));
  read_author(fields, event);
  event.flags_json = fields.raw("flags");
  using enum Event::Form;
  constexpr std::pair<std::string_view, Event::Form> kForms[] = {
      {"data", data}, {"merge", merge}, {"patch", patch}};
  for (const auto& [name, form] : kForms) {
    if (!fields.has(name)) continue;
    event.form = form;
    event.payload = fields.raw(name);
  }
  return event;
}

}  // namespace tidewire::kinds
