// What shards say to each other: commands to a channel's home, and the home's answers and deliveries.
//
// Between two shards messages keep their order; that is what makes the step from replay to live
// seamless (see delivery.h). Everything in here is owned or shared and immutable.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/shared_bytes.h"
#include "hub/types.h"

namespace tidewire::hub {

// ---- to a channel's home ----

struct SubscribeCommand {
  ChannelKey channel;
  ReplyTo reply;
  Handle follower;                 // the channel's replica on the asking shard
  std::uint32_t subscription = 0;  // the session's subscription, echoed
  bool again = false;              // the session is subscribed already: no messages, no count
  bool presence = false;
  bool snapshot = true;
  std::optional<Position> since;
  std::optional<std::uint64_t> history;
};

struct UnsubscribeCommand {
  ChannelKey channel;
  Handle follower;
};

struct PublishCommand {
  ChannelKey channel;
  ReplyTo reply;
  std::shared_ptr<const Author> author;
  std::string tail;  // `"event":…,"from":…,"data":…}`: everything that follows seq and timestamp
  std::string key;
  std::int64_t ttl_ms = 0;
  bool ephemeral = false;
  Handle skip;  // the session that must not get it back (`echo: false`)
};

struct HistoryCommand {
  ChannelKey channel;
  ReplyTo reply;
  std::optional<std::uint64_t> after;
  std::optional<std::uint64_t> before;
  std::uint64_t limit = 100;
  std::optional<std::string> epoch;
};

struct PresenceCommand {
  ChannelKey channel;
  ReplyTo reply;
  protocol::PresenceAction action = protocol::PresenceAction::get;
  std::shared_ptr<const Author> author;  // null for `get` without an identity (HTTP)
  std::optional<std::string> data;       // JSON
  Handle session;
};

// A connection that had entered is gone; its user leaves after the grace time.
struct DepartCommand {
  ChannelKey channel;
  std::shared_ptr<const Author> author;
};

// A subscription that is behind asks for what comes next.
struct CatchUpCommand {
  Handle home;  // the channel at its home
  Handle follower;
  Handle session;
  std::uint32_t subscription = 0;
  std::uint64_t next_seq = 0;
};

struct ChannelInfoCommand {
  ChannelKey channel;
  ReplyTo reply;
};

// ---- from a channel's home ----

struct SubscribedState {
  Handle home;
  std::string epoch;
  Kind kind = Kind::stream;
  std::uint64_t seq = 0;       // the channel's latest
  std::uint64_t next_seq = 0;  // what this subscription needs first; seq + 1 when nothing is missing
  std::optional<bool> recovered;
  std::string_view reason;  // a literal
  std::vector<SharedBytes> messages;
  std::optional<std::string> members;  // JSON array
};

struct SubscribeResult {
  ReplyTo reply;
  ChannelKey channel;
  Handle follower;
  std::uint32_t subscription = 0;
  bool again = false;
  Result<SubscribedState> result;
};

// A subscription can't be caught up: what it needs can't be read.
struct SubscriptionLost {
  Handle follower;
  Handle session;
  std::uint32_t subscription = 0;
  ErrorCode code = ErrorCode::unavailable;
};

struct Published {
  std::string epoch;
  std::uint64_t seq = 0;  // 0: ephemeral
  bool duplicate = false;
};

struct PublishResult {
  ReplyTo reply;
  ChannelKey channel;
  Result<Published> result;
};

struct HistoryPage {
  std::string epoch;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::vector<SharedBytes> messages;
};

struct HistoryResult {
  ReplyTo reply;
  ChannelKey channel;
  Result<HistoryPage> result;
};

struct PresenceResult {
  ReplyTo reply;
  ChannelKey channel;
  Result<std::string> result;  // the members, a JSON array
};

// One message for all subscribers of the channel on a shard.
struct Delivery {
  Handle follower;
  std::uint64_t seq = 0;  // 0: ephemeral
  SharedBytes body;       // what follows `"channel":C,` in the delivery's JSON
  Handle skip;
};

// A presence event, for those who asked for them.
struct PresenceDelivery {
  Handle follower;
  SharedBytes json;  // whole
  Handle skip;
};

struct CatchUpItem {
  std::uint64_t first = 0;  // of the gap, or the message's seq
  std::uint64_t last = 0;
  SharedBytes body;  // empty: a gap
};

struct CatchUpResult {
  Handle follower;
  Handle session;
  std::uint32_t subscription = 0;
  std::string epoch;
  std::vector<CatchUpItem> items;
  std::uint64_t next_seq = 0;
  bool at_end = false;  // next_seq - 1 was the channel's latest
};

struct ChannelInfo {
  std::string name;
  Kind kind = Kind::stream;
  std::string epoch;
  std::uint64_t seq = 0;
  std::size_t subscribers = 0;
};

struct ChannelInfoResult {
  ReplyTo reply;
  Result<ChannelInfo> result;
};

// ---- to every shard, and back ----

struct UserQuery {
  TenantId tenant = 0;
  std::string user_id;
};
struct DisconnectUser {
  TenantId tenant = 0;
  std::string user_id;
};
struct RevokeUser {
  TenantId tenant = 0;
  std::string user_id;
  std::int64_t before_ms = 0;
};
struct BroadcastAll {
  TenantId tenant = 0;
  SharedBytes json;
};
struct ListChannels {
  TenantId tenant = 0;
  std::string prefix;
  std::string after;  // names up to and including this one were listed before
  std::size_t limit = 100;
};
struct CountThings {};

using Question = std::variant<UserQuery, DisconnectUser, RevokeUser, BroadcastAll, ListChannels, CountThings>;

struct ConnectionInfo {
  std::string connection_id;
  std::int64_t connected_at_ms = 0;
  std::int64_t round_trip_us = -1;  // -1: not measured yet
};

// Traffic of one shard since its start, and what it holds now.
struct ShardCounts {
  std::uint64_t connections = 0, users = 0, channels = 0, subscriptions = 0;
  std::uint64_t connections_opened = 0, messages_in = 0, messages_out = 0, bytes_in = 0, bytes_out = 0;
  std::uint64_t malformed = 0, rate_limited = 0, auth_failures = 0, went_behind = 0, gaps = 0;
  std::array<std::uint64_t, protocol::kRequestTypes> requests{};  // by type
  std::uint64_t loop_lag_us = 0;
};

// One shard's part of an answer; the asker adds the parts up.
struct AnswerPart {
  std::uint64_t count = 0;
  std::vector<ConnectionInfo> connections;
  std::string user_json;  // the user's id as it stands in a token, when known here
  std::vector<ChannelInfo> channels;
  std::vector<std::uint64_t> users;  // hashes, to count each once
  ShardCounts counts;
};

struct Ask {
  ReplyTo reply;
  Question question;
};
struct Answer {
  ReplyTo reply;
  AnswerPart part;
};

using Message =
    std::variant<SubscribeCommand, UnsubscribeCommand, PublishCommand, HistoryCommand, PresenceCommand,
                 DepartCommand, CatchUpCommand, ChannelInfoCommand, SubscribeResult, PublishResult,
                 HistoryResult, PresenceResult, Delivery, PresenceDelivery, CatchUpResult, SubscriptionLost,
                 ChannelInfoResult, Ask, Answer>;

struct Envelope {
  ShardId from = 0;
  Message message;
};

}  // namespace tidewire::hub
