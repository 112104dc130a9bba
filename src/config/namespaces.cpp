#include "config/namespaces.h"

namespace tidewire::config {

namespace {

constexpr std::int64_t kMinute_ms = 60'000;
constexpr std::int64_t kDay_ms = 86'400'000;

// Protocol §7 names a limit for some of the built-in namespaces only; the others are bounded all the
// same, because a log that nobody trims fills the disk.
constexpr std::int64_t kLongHistory = 1'000'000;
constexpr std::int64_t kDocumentHistory = 10'000;

NamespaceSettings stream() {
  NamespaceSettings out;
  out.kind = Kind::stream;
  out.history_messages = 100;
  out.history_ttl_ms = 10 * kMinute_ms;
  out.idle_timeout_ms = kMinute_ms;
  return out;
}

NamespaceSettings open_stream() {
  NamespaceSettings out = stream();
  out.subscribe = Access::anyone;
  out.publish = Access::server;
  return out;
}

NamespaceSettings with_presence(NamespaceSettings settings) {
  settings.presence = true;
  return settings;
}

NamespaceSettings on_disk(Kind kind, std::int64_t messages, std::int64_t ttl_ms, Access subscribe,
                          Access publish) {
  NamespaceSettings out = stream();
  out.kind = kind;
  out.durability = Durability::disk;
  out.history_messages = messages;
  out.history_ttl_ms = ttl_ms;
  out.subscribe = subscribe;
  out.publish = publish;
  return out;
}

}  // namespace

NamespaceSettings namespace_defaults(Kind kind) {
  NamespaceSettings out = stream();
  switch (kind) {
    case Kind::stream:
      break;
    case Kind::document:
      return with_presence(on_disk(kind, kDocumentHistory, 0, Access::authenticated, Access::authenticated));
    case Kind::session:
      out = with_presence(on_disk(kind, kLongHistory, 30 * kDay_ms, Access::member, Access::member));
      out.content_policy = ContentPolicy::flag;
      return out;
    case Kind::inbox:
      return on_disk(kind, kDocumentHistory, 0, Access::user, Access::server);
    case Kind::upload:
      out.subscribe = Access::creator;
      out.publish = Access::creator;
      break;
    case Kind::agent:
      return on_disk(kind, kLongHistory, 7 * kDay_ms, Access::creator, Access::creator);
  }
  out.kind = kind;
  return out;
}

std::map<std::string, NamespaceSettings, std::less<>> builtin_namespaces() {
  NamespaceSettings room = with_presence(stream());
  room.content_policy = ContentPolicy::flag;
  NamespaceSettings dashboard =
      on_disk(Kind::document, kDocumentHistory, 0, Access::authenticated, Access::server);
  dashboard.conflate_ms = 100;
  return {{"default", with_presence(stream())},
          {"room", room},
          {"public", open_stream()},
          {"log", on_disk(Kind::stream, 100'000, 7 * kDay_ms, Access::authenticated, Access::authenticated)},
          {"doc", namespace_defaults(Kind::document)},
          {"dashboard", dashboard},
          {"session", namespace_defaults(Kind::session)},
          {"user", namespace_defaults(Kind::inbox)},
          {"upload", namespace_defaults(Kind::upload)},
          {"agent", namespace_defaults(Kind::agent)}};
}

}  // namespace tidewire::config
