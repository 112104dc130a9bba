#include "hub/publish.h"

#include "base/json_text.h"
#include "guard/code_spans.h"
#include "guard/content_scan.h"
#include "hub/session.h"
#include "protocol/json_scanner.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

namespace {

// What a namespace's kind says of a request's shape (protocol §4 `publish`).
std::optional<Error> refusal_of(Kind kind, const protocol::PublishRequest& request) {
  const auto refuse = [](const char* why) { return fail(ErrorCode::invalid_event, why).error(); };
  const int forms = !request.data.empty() + !request.merge.empty() + !request.patch.empty();
  if (kind == Kind::document && forms != 1)
    return refuse("a document takes exactly one of `data`, `merge` and `patch`");
  if (kind != Kind::document && (!request.merge.empty() || !request.patch.empty() || request.if_seq))
    return refuse("`merge`, `patch` and `if_seq` are for documents");
  if (request.ttl_ms != 0 && kind != Kind::stream && kind != Kind::inbox)
    return refuse("`ttl_ms` is for streams and inboxes");
  if (request.ephemeral && (kind == Kind::inbox || kind == Kind::upload))
    return refuse("`ephemeral` is for streams, sessions, agents and documents");
  return std::nullopt;
}

std::string_view default_event(Kind kind) {
  if (kind == Kind::session) return "message";
  return kind == Kind::inbox ? "notify" : "";
}

// Of a JSON Pointer (RFC 6901).
std::string last_name(std::string_view path) {
  std::string name;
  path.remove_prefix(path.rfind('/') + 1);
  for (std::size_t i = 0; i < path.size(); ++i) {
    const std::string_view escape = path.substr(i, 2);
    const bool escaped = escape == "~0" || escape == "~1";
    name += escaped ? (escape == "~0" ? '~' : '/') : path[i];
    i += escaped ? 1 : 0;
  }
  return name;
}

// The last names in the paths of a JSON Patch (RFC 6902), which become keys of the document, as those of an
// object. `patch` is an array.
std::string keys_of_paths(std::string_view patch) {
  using protocol::JsonType;
  std::string keys;
  std::vector<protocol::JsonMember> members;
  for (const auto& operation : protocol::split_array({.type = JsonType::array, .text = patch})) {
    members.clear();
    if (operation.type == JsonType::object) protocol::split_object(operation, members);
    for (const auto& [name, value] : members) {
      if (name != "path" || value.type != JsonType::string) continue;
      const std::string path = protocol::unescape(value);
      keys += keys.empty() ? '{' : ',';
      append_json_string(keys, last_name(path));
      keys += ":0";
    }
  }
  if (!keys.empty()) keys += '}';
  return keys;
}

// An inbox goes by an entry's own priority, `medium` where the entry says none, whatever the namespace's is
// now or after a reload.
bool needs_label(const Namespace& ns, Priority priority) {
  return priority != ns.priority || (ns.kind == Kind::inbox && priority != kinds::Inbox::kDefaultPriority);
}

// `"flags":[…],`; before the payload, so that whoever reads on can know.
void append_flags(std::string& tail, guard::ContentFlags flags) {
  tail += "\"flags\":[";
  for (; !flags.empty(); flags = flags.without(flags.first())) {
    tail += '"';
    tail += name_of(flags.first());
    tail += "\",";
  }
  tail.back() = ']';
  tail += ',';
}

}  // namespace

guard::ContentFlags judged(const Namespace& ns, std::string_view json) {
  if (ns.content_policy == ContentPolicy::off || json.empty()) return {};
  return ns.content_policy == ContentPolicy::flag ? guard::scan_outside_code(json)
                                                  : guard::scan_content(json);
}

Error content_rejected(guard::ContentRule rule) {
  const std::string name(name_of(rule));
  Error error = fail(ErrorCode::content_rejected, "the content breaks the rule `" + name + "`").error();
  error.rule = name;
  return error;
}

PublishCommand prepare_publish(TenantId tenant, const Admission& admission,
                               std::shared_ptr<const Author> author, protocol::PublishRequest&& request) {
  const Namespace& ns = *admission.ns;
  PublishCommand command;
  command.refusal = refusal_of(ns.kind, request);
  command.channel = {tenant, std::move(request.channel)};
  command.key = std::move(request.key);
  command.ttl_ms = static_cast<std::int64_t>(request.ttl_ms);
  command.ephemeral = request.ephemeral;
  command.if_seq = request.if_seq;
  command.rights = admission.rights;

  const std::string_view event = request.event.empty() ? default_event(ns.kind) : request.event;
  std::string_view form = "data", payload = request.data;
  if (!request.merge.empty()) form = "merge", payload = request.merge;
  if (!request.patch.empty()) form = "patch", payload = request.patch;
  guard::ContentFlags flags = judged(ns, payload);
  if (ns.content_policy != ContentPolicy::off) {
    if (!request.event.empty()) {
      std::string name;
      append_json_string(name, request.event);
      flags.add(judged(ns, name));
    }
    if (request.patch.starts_with('[')) flags.add(judged(ns, keys_of_paths(request.patch)));
  }
  if (!flags.empty() && ns.content_policy == ContentPolicy::reject) command.rejected = flags.first();
  std::string tail;
  tail.reserve(payload.size() + author->from_json.size() + event.size() + 64);
  if (!event.empty()) {
    tail += "\"event\":";
    append_json_string(tail, event);
    tail += ',';
  }
  if (!author->from_json.empty()) {
    tail += "\"from\":";
    tail += author->from_json;
    tail += ',';
  }
  if (request.priority && needs_label(ns, *request.priority)) {
    tail += "\"priority\":\"";
    tail += protocol::name_of(*request.priority);
    tail += "\",";
  }
  if (!flags.empty()) append_flags(tail, flags);
  tail += '"';
  tail += form;
  tail += "\":";
  tail += payload.empty() ? "null" : payload;
  tail += '}';
  command.tail = SharedBytes(tail);
  command.author = std::move(author);
  return command;
}

std::string event_tail(std::string_view event, std::string_view from_json, std::string_view data,
                       std::string_view flags_json) {
  protocol::MessageWriter writer;
  writer.text("event", event);
  if (!from_json.empty()) writer.json("from", from_json);
  if (!flags_json.empty()) writer.json("flags", flags_json);
  writer.json("data", data);
  return writer.finish().substr(1);
}

std::shared_ptr<const Author> make_author(const auth::Identity* identity, std::uint64_t connection) {
  auto author = std::make_shared<Author>();
  author->connection = connection;
  if (identity != nullptr) {
    author->user_id = identity->user_id.view();
    protocol::MessageWriter user;
    std::string id;
    auth::append_user_id_json(id, *identity);
    author->id_json = id;
    author->user_json = user.json("id", id).text("type", identity->type).finish();
    author->scope = "u" + author->user_id;
  } else {
    author->user_json = "null";
    author->scope = "c" + connection_name(connection);
  }
  protocol::MessageWriter from;
  from.json("user", author->user_json);
  if (connection != 0) from.text("connection", connection_name(connection));
  author->from_json = from.finish();
  return author;
}

std::shared_ptr<const Author> server_author() {
  static const auto author = server_author({});
  return author;
}

std::shared_ptr<const Author> server_author(std::string_view key) {
  auto author = std::make_shared<Author>();
  author->user_json = "null";
  author->scope = "s" + std::string(key);
  return author;
}

bool passes_overload(guard::SharedOverload& overload, guard::ShareGate& gate, Priority priority) {
  const double share = overload.publish_share();
  if (share >= 1 || priority == Priority::critical || gate.pass(share)) return true;
  overload.note_shed_publish();
  return false;
}

Error overload_error() {
  Error error = fail(ErrorCode::unavailable, "the server is overloaded").error();
  error.retry_after_ms = guard::SharedOverload::kRetryAfter_ms;
  return error;
}

}  // namespace tidewire::hub
