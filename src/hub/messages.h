// What shards say to each other: commands to a channel's home, and the home's answers and deliveries.
//
// Between two shards messages keep their order; that is what makes the step from replay to live
// seamless (see delivery.cpp). Everything in here is owned or shared and immutable.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/shared_bytes.h"
#include "guard/connection_health.h"
#include "guard/content_rules.h"
#include "hub/analytics.h"
#include "hub/types.h"
#include "kinds/inbox.h"

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
  bool automatic = false;  // the server follows the inbox for the connection
  std::optional<Position> since;
  std::optional<std::uint64_t> history;
  std::shared_ptr<const Author> author = {};
  Rights rights = {};
};

struct UnsubscribeCommand {
  ChannelKey channel;
  Handle follower;
  Handle session;
  std::uint32_t subscription = 0;  // it may have another one to the channel by now
  // Of a session channel: the first message that it was not given and its user is to find in its inbox;
  // 0: none.
  std::uint64_t lacks_from = 0;
};

struct PublishCommand {
  ChannelKey channel;
  ReplyTo reply;
  std::shared_ptr<const Author> author;
  SharedBytes tail;  // `"event":…,"from":…,"data":…}`: everything that follows seq and timestamp
  std::string key;
  std::int64_t ttl_ms = 0;
  bool ephemeral = false;
  std::optional<std::uint64_t> if_seq = {};
  std::optional<Error> refusal = {};  // what the kind says of the request's shape, told in its turn
  std::optional<guard::ContentRule> rejected = {};  // what the namespace refuses of its content, likewise
  Rights rights = {};
  Handle skip;  // the session that must not get it back (`echo: false`)
};

struct HistoryCommand {
  ChannelKey channel;
  ReplyTo reply;
  std::optional<std::uint64_t> after;
  std::optional<std::uint64_t> before;
  std::uint64_t limit = 100;
  std::optional<std::string> epoch;
  std::shared_ptr<const Author> author = {};
  Rights rights = {};
};

struct PresenceCommand {
  ChannelKey channel;
  ReplyTo reply;
  protocol::PresenceAction action = protocol::PresenceAction::get;
  std::shared_ptr<const Author> author;  // null for `get` without an identity (HTTP)
  std::optional<std::string> data;       // JSON
  Handle session;
  Rights rights = {};
};

// A connection that had entered is gone; its user leaves after the grace time.
struct DepartCommand {
  ChannelKey channel;
  std::shared_ptr<const Author> author;
};

// How far a new subscription has come with what comes apart from what is new: what waited in the inbox
// (protocol §7), or the history up to the snapshot that it was given.
struct Backlog {
  kinds::Inbox::Cursor after;
  std::uint64_t up_to = 0;       // later entries come as live ones
  std::uint64_t sent_up_to = 0;  // entries up to here had been sent to this user before
};

// A subscription that is behind asks for what comes next. It is answered once: with a CatchUpResult or
// with a SubscriptionLost.
struct CatchUpCommand {
  Handle home;  // the channel at its home
  Handle follower;
  Handle session;
  std::uint32_t subscription = 0;
  std::uint64_t next_seq = 0;
  std::optional<Backlog> backlog = {};
  std::size_t bytes_max = 0;  // of a page; at least one message comes
  std::uint32_t load = 0;     // of the asking shard's bound on what is under way; echoed
  bool merged = false;        // what can be merged for it is, also where the channel is not conflated
};

// What a connection may, or who it is, has changed: what it was let into before is looked at again.
struct ReviewCommand {
  ChannelKey channel;
  std::shared_ptr<const Author> author;  // as it is now; null: it may do nothing here any more
  Rights rights = {};
  std::shared_ptr<const Author> entered = {};  // as whom it has entered presence; null: it has not
  Handle session = {};
  Handle follower = {};
  std::uint32_t subscription = 0;  // 0: none
};

struct ChannelInfoCommand {
  ChannelKey channel;
  ReplyTo reply;
};

struct AckCommand {
  ChannelKey channel;
  ReplyTo reply;
  std::shared_ptr<const Author> author;
  Handle session;
  std::vector<std::uint64_t> seqs;
  std::optional<std::uint64_t> up_to;
};

struct SnapshotCommand {
  ChannelKey channel;
  ReplyTo reply;
  std::shared_ptr<const Author> author;
  Rights rights;
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
  SharedBytes snapshot = {};           // JSON, of seq `seq`; empty: none
  std::uint64_t shown = 0;             // live deliveries have come up to here; less than seq while conflated
  std::optional<Backlog> backlog = {};
};

struct SubscribeResult {
  ReplyTo reply;
  ChannelKey channel;
  Handle follower;
  std::uint32_t subscription = 0;
  bool again = false;
  Result<SubscribedState> result;
};

// A subscription ends: what it needs can't be read, or what it rested on is no more.
struct SubscriptionLost {
  Handle follower;
  Handle session;
  std::uint32_t subscription = 0;
  std::string_view code;    // a literal
  std::uint64_t up_to = 0;  // what it lacks up to here it gets first; 0: it ends at once
  std::uint32_t load = 0;   // of the CatchUpCommand that this answers; 0: of none
};

// The channel's numbering has started anew: what its subscribers have is of no use any more.
struct EpochChanged {
  Handle follower;
};

struct Published {
  std::string epoch;
  std::uint64_t seq = 0;  // 0: ephemeral, or dropped
  bool duplicate = false;
  bool dropped = false;
};

struct Acked {
  std::uint64_t seq = 0;  // 0: nothing was acked
  std::vector<std::uint64_t> seqs;
  std::size_t pending = 0;
};

struct AckResult {
  ReplyTo reply;
  ChannelKey channel;
  Result<Acked> result;
};

struct ChannelSnapshot {
  std::string epoch;
  std::uint64_t seq = 0;
  SharedBytes data;  // JSON
};

struct SnapshotResult {
  ReplyTo reply;
  ChannelKey channel;
  Result<ChannelSnapshot> result;
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
  std::uint64_t first_seq = 0;  // it stands for first_seq..seq
  std::uint64_t seq = 0;        // 0: ephemeral
  SharedBytes body;             // what follows `"channel":C,` in the delivery's JSON
  Handle skip;
};

// A presence event, for those who asked for them.
struct PresenceDelivery {
  Handle follower;
  SharedBytes json;  // whole
  Handle skip;
};

struct CatchUpItem {
  enum class Kind : std::uint8_t { message, gap, snapshot };
  std::uint64_t first = 0;  // what it stands for
  std::uint64_t last = 0;
  SharedBytes body;  // of a message what follows `"channel":C,`; of a snapshot its data
  Kind kind = Kind::message;
  std::int64_t expires_ms = 0;  // unix; 0: never
};

struct CatchUpResult {
  Handle follower;
  Handle session;
  std::uint32_t subscription = 0;
  std::string epoch;
  std::uint64_t from_seq = 0;  // next_seq of the command
  std::vector<CatchUpItem> items;
  std::uint64_t next_seq = 0;
  bool at_end = false;                  // next_seq - 1 was the channel's latest
  std::optional<Backlog> backlog = {};  // there is more of it
  std::uint32_t load = 0;               // of the command
  bool for_any = false;  // whoever needs the same first may have it, until something in it expires
};

struct ChannelInfo {
  std::string name;
  Kind kind = Kind::stream;
  std::string epoch;
  std::uint64_t seq = 0;
  std::size_t subscribers = 0;
  bool stored = false;  // as the log has it; its home, where it is in memory, knows better
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
struct CountThings {
  std::optional<std::int64_t> window_us = {};  // with the analytics of so long; 0: histograms since the start
};
struct ListConnections {
  TenantId tenant = 0;
  // When the last one listed before was connected, and its number.
  std::pair<std::int64_t, std::uint64_t> after = {};
  std::size_t limit = 100;  // of each shard, those that have been there longest
};

using Question = std::variant<UserQuery, DisconnectUser, RevokeUser, BroadcastAll, ListChannels, CountThings,
                              ListConnections>;

struct ConnectionInfo {
  std::string connection_id;
  std::int64_t connected_at_ms = 0;
  guard::ConnectionHealth health = {};
  std::string user_json = {};  // in a list: the user's id as it stands in a token; empty: anonymous
};

// One shard's part of an answer; the asker adds the parts up.
struct AnswerPart {
  std::uint64_t count = 0;
  std::vector<ConnectionInfo> connections;
  std::string user_json;  // the user's id as it stands in a token, when known here
  std::vector<ChannelInfo> channels;
  std::string looked_to;       // there may be more channels behind this name; empty: those are all
  std::optional<Error> error;  // of the log, that channels were asked of
  std::vector<std::pair<TenantId, std::uint64_t>> users;  // hashes, to count each once
  ShardCounts counts;
  std::vector<ShardCounts> tenants;           // the part of each
  std::shared_ptr<Analytics> analytics = {};  // where they were asked for
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
                 DepartCommand, ReviewCommand, CatchUpCommand, ChannelInfoCommand, AckCommand,
                 SnapshotCommand, SubscribeResult, PublishResult, HistoryResult, PresenceResult, AckResult,
                 SnapshotResult, Delivery, PresenceDelivery, CatchUpResult, SubscriptionLost, EpochChanged,
                 ChannelInfoResult, Ask, Answer>;

struct Envelope {
  ShardId from = 0;
  Message message;
};

}  // namespace tidewire::hub
