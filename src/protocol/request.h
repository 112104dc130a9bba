// What a client may ask (protocol §4), as values. Payload (`data`, `merge`, `patch`) is a slice of the
// message it came in; everything else is owned. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/shared_name.h"

namespace tidewire::protocol {

enum class Priority : std::uint8_t { critical, high, medium, low };
inline constexpr std::size_t kPriorities = 4;
std::string_view name_of(Priority priority);
std::optional<Priority> priority_named(std::string_view name);

// Everything up to and including `seq` has been seen (protocol §1).
struct Position {
  std::string epoch;
  std::uint64_t seq = 0;
  friend bool operator==(const Position&, const Position&) = default;
};

struct PingRequest {
  std::string_view data;  // empty: absent
};

struct AuthRequest {
  std::string token;  // empty: absent
};

struct SubscribeItem {
  SharedName channel;
  std::optional<Position> since;
  std::optional<std::uint64_t> history;
  bool presence = false;
  bool snapshot = true;
  std::string fault = {};  // why this channel of several is `invalid_message`; empty: it is not
};

struct SubscribeRequest {
  std::vector<SubscribeItem> channels;  // 1 to 100
};

struct UnsubscribeRequest {
  SharedName channel;
};

inline constexpr std::size_t kEventCharactersMax = 64;

struct PublishRequest {
  SharedName channel;
  std::string_view data;  // each empty: absent
  std::string_view merge;
  std::string_view patch;
  std::string event;
  std::string key;
  std::optional<std::uint64_t> if_seq;
  std::optional<Priority> priority;
  std::uint64_t ttl_ms = 0;  // 0: absent
  bool ephemeral = false;
  bool echo = true;
};

struct HistoryRequest {
  SharedName channel;
  std::optional<std::uint64_t> after;
  std::optional<std::uint64_t> before;
  std::uint64_t limit = 100;
  std::optional<std::string> epoch;
};

enum class PresenceAction : std::uint8_t { enter, update, leave, get };

struct PresenceRequest {
  SharedName channel;
  PresenceAction action = PresenceAction::get;
  std::string_view data;  // empty: absent
};

struct AckRequest {
  SharedName channel;
  std::vector<std::uint64_t> seqs;
  std::optional<std::uint64_t> up_to;
};

using RequestBody = std::variant<PingRequest, AuthRequest, SubscribeRequest, UnsubscribeRequest,
                                 PublishRequest, HistoryRequest, PresenceRequest, AckRequest>;

inline constexpr std::size_t kRequestTypes = std::variant_size_v<RequestBody>;
// `type` as it stands on the wire, in the order of the variant.
inline constexpr std::array<std::string_view, kRequestTypes> kRequestNames{
    "ping", "auth", "subscribe", "unsubscribe", "publish", "history", "presence", "ack"};

struct Request {
  std::string id;         // JSON text, repeated in the reply; empty: absent
  std::string_view type;  // a literal
  RequestBody body;
};

// The channel a request speaks of, empty where it has none or several.
std::string_view channel_of(const Request& request);

}  // namespace tidewire::protocol
