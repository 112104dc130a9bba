#include "protocol/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/json_text.h"
#include "protocol/fields.h"
#include "protocol/json_scanner.h"
#include "wire/utf8.h"

namespace tidewire::protocol {

namespace {

constexpr std::int64_t kTtlMsMax = std::int64_t{1} << 41;
constexpr std::size_t kChannelsPerSubscribe = 100;
constexpr std::size_t kAckSeqsMax = 10'000;
constexpr std::size_t kIdCharactersMax = 64;
constexpr std::size_t kKeyCharactersMax = 128;

std::optional<Position> read_position(Fields& fields) {
  const JsonValue* value = fields.find("since");
  if (value == nullptr) return std::nullopt;
  if (value->type != JsonType::object) {
    fields.refuse("`since` must be a position, {\"epoch\": ..., \"seq\": ...}");
    return std::nullopt;
  }
  Fields inner(*value);
  inner.refuse_doubled();
  Position position;
  position.epoch = inner.required_string("epoch", 32);
  position.seq = static_cast<std::uint64_t>(inner.integer("seq", 0, kJsonIntegerMax).value_or(0));
  if (!inner.has("seq")) inner.refuse("`since` needs a `seq`");
  if (!inner.ok()) fields.refuse("since: " + inner.problem());
  return position;
}

void read_subscribe_options(Fields& fields, SubscribeItem& item) {
  item.since = read_position(fields);
  if (const auto history = fields.integer("history", 0, kJsonIntegerMax))
    item.history = static_cast<std::uint64_t>(*history);
  item.presence = fields.boolean("presence", false);
  item.snapshot = fields.boolean("snapshot", true);
}

SubscribeItem read_subscribe_item(Fields& fields) {
  SubscribeItem item;
  item.channel = fields.required_string("channel");
  read_subscribe_options(fields, item);
  return item;
}

SubscribeRequest read_subscribe(Fields& fields) {
  SubscribeRequest request;
  const JsonValue* channels = fields.find("channels");
  if (channels == nullptr) {
    request.channels.push_back(read_subscribe_item(fields));
    return request;
  }
  if (fields.has("channel")) fields.refuse("either `channel` or `channels`, not both");
  // Options stand in the entries. Beside them they count for none, and are checked like every field.
  SubscribeItem beside;
  read_subscribe_options(fields, beside);
  if (channels->type != JsonType::array) {
    fields.refuse("`channels` must be an array");
    return request;
  }
  const std::vector<JsonValue> entries = split_array(*channels, kChannelsPerSubscribe + 1);
  if (entries.empty() || entries.size() > kChannelsPerSubscribe) {
    fields.refuse(fmt::format("`channels` must have 1 to {} entries", kChannelsPerSubscribe));
    return request;
  }
  for (const JsonValue& entry : entries) {
    if (entry.type == JsonType::string) {
      request.channels.push_back({.channel = unescape(entry), .since = {}, .history = {}});
    } else if (entry.type == JsonType::object) {
      Fields inner(entry);
      inner.refuse_doubled();
      const bool doubled = !inner.ok();
      SubscribeItem item = read_subscribe_item(inner);
      // An option can be refused for its channel alone, a channel that is not there cannot.
      const JsonValue* channel = inner.find("channel");
      if (doubled || channel == nullptr || channel->type != JsonType::string)
        fields.refuse(fmt::format("channels[{}]: {}", request.channels.size(), inner.problem()));
      item.fault = inner.problem();
      request.channels.push_back(std::move(item));
    } else {
      fields.refuse("an entry of `channels` must be a string or an object");
    }
  }
  return request;
}

PublishRequest read_publish(Fields& fields, std::string_view channel = {}) {
  PublishRequest request;
  request.channel = channel.empty() ? fields.required_string("channel") : std::string(channel);
  request.data = fields.raw("data");
  request.merge = fields.raw("merge");
  request.patch = fields.raw("patch");
  request.event = fields.string("event", kEventCharactersMax, Fields::LoneSurrogates::refused);
  request.key = fields.string("key", kKeyCharactersMax, Fields::LoneSurrogates::refused);
  if (fields.has("event") && request.event.empty()) fields.refuse("`event` must not be empty");
  if (fields.has("key") && request.key.empty()) fields.refuse("`key` must not be empty");
  if (const auto if_seq = fields.integer("if_seq", 0, kJsonIntegerMax))
    request.if_seq = static_cast<std::uint64_t>(*if_seq);
  request.ttl_ms = static_cast<std::uint64_t>(fields.integer("ttl_ms", 1, kTtlMsMax).value_or(0));
  request.ephemeral = fields.boolean("ephemeral", false);
  request.echo = fields.boolean("echo", true);
  if (fields.has("priority")) {
    request.priority = priority_named(fields.string("priority"));
    if (!request.priority) fields.refuse("`priority` must be critical, high, medium or low");
  }
  if (request.ephemeral && !request.key.empty()) fields.refuse("`ephemeral` and `key` do not go together");
  return request;
}

HistoryRequest read_history(Fields& fields) {
  HistoryRequest request;
  request.channel = fields.required_string("channel");
  if (const auto after = fields.integer("after", 0, kJsonIntegerMax))
    request.after = static_cast<std::uint64_t>(*after);
  if (const auto before = fields.integer("before", 0, kJsonIntegerMax))
    request.before = static_cast<std::uint64_t>(*before);
  request.limit = static_cast<std::uint64_t>(fields.integer("limit", 0, kJsonIntegerMax).value_or(100));
  if (fields.has("epoch")) request.epoch = fields.string("epoch");
  return request;
}

PresenceRequest read_presence(Fields& fields) {
  PresenceRequest request;
  request.channel = fields.required_string("channel");
  request.data = fields.raw("data");
  const std::string action = fields.required_string("action");
  constexpr std::array names{"enter", "update", "leave", "get"};
  const auto found = std::ranges::find(names, action);
  if (found == names.end())
    fields.refuse("`action` must be enter, update, leave or get");
  else
    request.action = static_cast<PresenceAction>(found - names.begin());
  return request;
}

AckRequest read_ack(Fields& fields) {
  AckRequest request;
  request.channel = fields.required_string("channel");
  if (const auto up_to = fields.integer("up_to", 0, kJsonIntegerMax))
    request.up_to = static_cast<std::uint64_t>(*up_to);
  const JsonValue* seqs = fields.find("seqs");
  if ((seqs != nullptr) == fields.has("up_to")) fields.refuse("an `ack` takes either `seqs` or `up_to`");
  if (seqs == nullptr) return request;
  if (seqs->type != JsonType::array) {
    fields.refuse("`seqs` must be an array of integers");
    return request;
  }
  const std::vector<JsonValue> entries = split_array(*seqs, kAckSeqsMax + 1);
  if (entries.size() > kAckSeqsMax) {
    fields.refuse(fmt::format("an `ack` takes at most {} `seqs`", kAckSeqsMax));
    return request;
  }
  for (const JsonValue& entry : entries) {
    const auto seq = integer_of(entry);
    if (!seq || *seq < 0 || *seq > kJsonIntegerMax) {
      fields.refuse("`seqs` must be an array of integers");
      return request;
    }
    request.seqs.push_back(static_cast<std::uint64_t>(*seq));
  }
  return request;
}

PingRequest read_ping(Fields& fields) { return {.data = fields.raw("data")}; }
AuthRequest read_auth(Fields& fields) { return {.token = fields.string("token")}; }
UnsubscribeRequest read_unsubscribe(Fields& fields) { return {.channel = fields.required_string("channel")}; }

// In the order of kRequestNames.
constexpr RequestBody (*kReaders[kRequestTypes])(Fields&) = {
    [](Fields& f) -> RequestBody { return read_ping(f); },
    [](Fields& f) -> RequestBody { return read_auth(f); },
    [](Fields& f) -> RequestBody { return read_subscribe(f); },
    [](Fields& f) -> RequestBody { return read_unsubscribe(f); },
    [](Fields& f) -> RequestBody { return read_publish(f); },
    [](Fields& f) -> RequestBody { return read_history(f); },
    [](Fields& f) -> RequestBody { return read_presence(f); },
    [](Fields& f) -> RequestBody { return read_ack(f); },
};

// The id as JSON text: a string of at most 64 characters or an integer (protocol §3).
std::string read_id(Fields& fields) {
  const JsonValue* id = fields.find("id");
  if (id == nullptr || id->type == JsonType::null) return {};
  if (id->type == JsonType::string && count_characters(unescape(*id)) <= kIdCharactersMax)
    return std::string(id->text);
  // It is repeated and never counted with, so it need not fit a machine's integer.
  if (id->type == JsonType::number && id->text.find_first_of(".eE") == std::string_view::npos &&
      id->text.size() <= kIdCharactersMax)
    return std::string(id->text);
  fields.refuse("`id` must be a string or an integer of at most 64 characters");
  return {};
}

std::string string_or_empty(Fields& fields, std::string_view name) {
  const JsonValue* value = fields.find(name);
  return value != nullptr && value->type == JsonType::string ? unescape(*value) : std::string();
}

Result<JsonValue> scan_object(std::string_view text, int depth_max) {
  const auto value = scan_json(text, depth_max);
  if (!value)
    return fail(ErrorCode::invalid_json, fmt::format("not valid JSON, or nested deeper than {}", depth_max));
  if (value->type != JsonType::object) return fail(ErrorCode::invalid_message, "a message is a JSON object");
  return *value;
}

Result<PublishRequest> publish_from(JsonValue object, std::string_view channel = {}) {
  Fields fields(object);
  fields.refuse_doubled();
  PublishRequest request = read_publish(fields, channel);
  if (!fields.ok()) return fail(ErrorCode::invalid_message, fields.problem());
  return request;
}

}  // namespace

std::expected<Request, DecodeFailure> decode(std::string_view text, int depth_max) {
  const auto object = scan_object(text, depth_max);
  if (!object)
    return std::unexpected(DecodeFailure{.error = object.error(), .id = {}, .type = {}, .channel = {}});

  Fields fields(*object);
  Request request;
  request.id = read_id(fields);
  fields.refuse_doubled();
  const std::string type = fields.required_string("type");
  const auto failed = [&](ErrorCode code, std::string message) {
    return std::unexpected(DecodeFailure{.error = fail(code, std::move(message)).error(),
                                         .id = request.id,
                                         .type = type,
                                         .channel = string_or_empty(fields, "channel")});
  };
  if (!fields.ok()) return failed(ErrorCode::invalid_message, fields.problem());
  const auto row = std::ranges::find(kRequestNames, type);
  if (row == kRequestNames.end()) {
    return failed(ErrorCode::unknown_type,
                  fmt::format("there is no request of type {}", json_string(wire::utf8_prefix(type, 64))));
  }
  request.type = *row;
  request.body = kReaders[row - kRequestNames.begin()](fields);
  if (!fields.ok()) return failed(ErrorCode::invalid_message, fields.problem());
  return request;
}

Result<PublishRequest> decode_publish(std::string_view text, int depth_max, std::string_view channel) {
  const auto object = scan_object(text, depth_max);
  if (!object) return std::unexpected(object.error());
  return publish_from(*object, channel);
}

Result<std::vector<Result<PublishRequest>>> decode_batch(std::string_view text, int depth_max,
                                                         std::size_t count_max) {
  const auto object = scan_object(text, depth_max);
  if (!object) return std::unexpected(object.error());
  Fields fields(*object);
  fields.refuse_doubled();
  const JsonValue* list = fields.find("publish");
  if (!fields.ok()) return fail(ErrorCode::invalid_message, fields.problem());
  if (list == nullptr || list->type != JsonType::array)
    return fail(ErrorCode::invalid_message, "`publish` must be an array of publish requests");
  const std::vector<JsonValue> entries = split_array(*list, count_max + 1);
  if (entries.size() > count_max)
    return fail(ErrorCode::invalid_message, fmt::format("a batch takes at most {} entries", count_max));
  std::vector<Result<PublishRequest>> out;
  out.reserve(entries.size());
  for (const JsonValue& entry : entries) {
    if (entry.type == JsonType::object)
      out.push_back(publish_from(entry));
    else
      out.push_back(fail(ErrorCode::invalid_message, "an entry of a batch must be an object"));
  }
  return out;
}

}  // namespace tidewire::protocol
