// The sessions of one shard: what its connections ask, and what they get.
//
// Takes the text of messages, answers from channels' homes and the time; gives envelopes for shards and
// calls of Outbound. No socket, clock or random source inside. Owned by the shard's thread.
// Invariant: whatever a session is part of (subscriptions, presence, counts) ends with close().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "guard/anomalies.h"
#include "guard/attempts.h"
#include "guard/shared_limits.h"
#include "hub/access.h"
#include "hub/messages.h"
#include "hub/namespaces.h"
#include "hub/outbound.h"
#include "hub/replica.h"
#include "hub/session.h"
#include "hub/tenant.h"
#include "protocol/decode.h"

namespace tidewire::hub {

struct SessionOptions {
  ShardId self = 0;
  ShardId shards = 1;
  std::uint64_t hash_seed = 0;
  bool auth_required = false;
  std::int64_t auth_timeout_ms = 10'000;
  std::int64_t heartbeat_ms = 30'000;
  std::vector<std::string> anonymous_capabilities;
  guard::AnomalyPolicy anomaly = {};
};

// How a connection comes to be; the token, if there was one, has been judged.
struct Opening {
  TenantId tenant = 0;
  std::uint64_t connection_id = 0;
  std::shared_ptr<const auth::Identity> identity;
  IpAddress address;
  bool manual_inbox = false;  // the client follows its inbox itself
};

class Sessions {
 public:
  using Post = std::function<void(ShardId, Message&&)>;

  // What is shared by all shards, and outlives them.
  struct Shared {
    guard::SharedLimits& limits;
    guard::Attempts& attempts;
    guard::LimitKeys keys;
  };

  Sessions(SessionOptions options, const Namespaces& namespaces, Tenants& tenants, Shared shared,
           Outbound& outbound, Post post);

  // Begins a session and sends `connected`; or, where the user has too many connections, closes it.
  void open(Handle connection, Opening&& opening, const Time& now);

  // The connection is gone, whatever the reason. Safe for one that has no session.
  void close(Handle connection, const Time& now);

  enum class Taken : std::uint8_t {
    yes,
    wait_for_keys  // an `auth` needs a key that is being fetched: hand the same message in again
  };
  // One text message, valid UTF-8.
  Taken on_text(Handle connection, std::string_view text, const Time& now, bool keys_awaited = false);
  // A message that is malformed before it is JSON: binary (invalid_message), or too_large.
  void on_malformed(Handle connection, ErrorCode code, std::string message, const Time& now);

  // False while so many replies are outstanding that no further message should be read.
  bool can_take(Handle connection) const;

  // requests/follow.cpp, for event streams: subscribes without a request; answered as `subscribe` is.
  void follow(Handle connection, protocol::SubscribeItem&& item, const Time& now);
  // Nothing that was asked waits for its answer.
  bool is_answered(Handle connection) const;
  // The first seq of the channel that its `subscribed` does not cover; for use while that is being sent.
  std::optional<std::uint64_t> first_missing(Handle connection, std::string_view channel) const;

  void on_drained(Handle connection, const Time& now);
  // The earliest time, mono, at which on_timer() has something to do; INT64_MAX for never.
  std::int64_t next_deadline_ms(Handle connection, const Time& now) const;
  void on_timer(Handle connection, const Time& now);

  // Answers and deliveries from channels' homes.
  void handle(SubscribeResult&& result, const Time& now);
  void handle(PublishResult&& result, const Time& now);
  void handle(HistoryResult&& result, const Time& now);
  void handle(PresenceResult&& result, const Time& now);
  void handle(AckResult&& result, const Time& now);
  void handle(Delivery&& delivery, const Time& now);
  void handle(PresenceDelivery&& delivery, const Time& now);
  void handle(CatchUpResult&& result, const Time& now);
  void handle(SubscriptionLost&& lost, const Time& now);

  // This shard's part of an answer to a question that goes to all shards.
  AnswerPart answer(const Question& question, const Time& now);

  // Hands this turn's deliveries to the connections: once, at the end of the turn.
  void flush();
  // Channels with deliveries to hand over.
  std::size_t waiting_channels() const { return dirty_.size(); }

  // Sends `reconnect` to a connection, before a drain closes it.
  void announce_drain(Handle connection, std::int64_t after_ms);

  // Tells live sessions what a reload changed.
  void reload(SessionOptions options) { options_ = std::move(options); }

  const Session* session(Handle connection) const;
  Tenant& tenant(TenantId id) { return tenants_[id]; }
  const ShardCounts& counts() const { return counts_; }
  // Channels that are followed here, and users that are connected here.
  std::size_t replicas() const { return replicas_.size(); }
  std::size_t users() const { return users_.size(); }

  static constexpr std::size_t kPendingRepliesMax = 1024;
  // Of those with messages in them. Until they are written nothing else bounds what they hold.
  static constexpr std::uint32_t kLargeRepliesMax = 4;
  // A subscription that is behind remembers so many messages that must not come back to it.
  static constexpr std::size_t kOwnMax = 4096;
  static constexpr std::int64_t kExpiryWarningMs = 60'000;

 private:
  struct Context {  // of the request being carried out
    Handle connection;
    Session& session;
    const Time& now;
    std::string_view id;
    std::string_view type;
  };

  Session* find(Handle connection);
  const Tenant& tenant_of(const Session& session) const { return tenants_[session.tenant]; }
  ShardId home_of(const ChannelKey& key) const {
    return hub::home_of(key, options_.hash_seed, options_.shards);
  }

  // dispatch.cpp
  Taken dispatch(Context& context, protocol::Request&& request, bool keys_awaited);
  bool pass_rate(Context& context, const protocol::Request& request);
  void malformed(Handle connection, Session& session, const protocol::DecodeFailure& failure,
                 const Time& now);

  // anomalies.cpp: what a connection does is watched (requirement P3)
  void watch(Session& session, std::size_t bytes, const Time& now);
  void watch_failure(Session& session, const Error& error, std::string_view channel);
  void judge_activity(Session& session, const Time& now);
  static const guard::LimitKey& watched_key(const Session& session) {
    return session.shared_keys.user ? session.shared_keys.user : session.shared_keys.address;
  }
  bool is_held(const Session& session, guard::AnomalyAction by, std::int64_t now_ms) const {
    return session.held_until_ms > now_ms && options_.anomaly.action == by;
  }

  // requests/*.cpp: each answers, now or later
  void carry_out(Context& context, protocol::PingRequest&& request);
  Taken authenticate(Context& context, const protocol::AuthRequest& request, bool keys_awaited);
  void carry_out(Context& context, protocol::SubscribeRequest&& request);
  void carry_out(Context& context, protocol::UnsubscribeRequest&& request);
  void carry_out(Context& context, protocol::PublishRequest&& request);
  void carry_out(Context& context, protocol::HistoryRequest&& request);
  void carry_out(Context& context, protocol::PresenceRequest&& request);
  void carry_out(Context& context, protocol::AckRequest&& request);

  // replies.cpp: the order of answers
  void reply(Context& context, std::string json) {
    reply(context.connection, context.session, std::move(json));
  }
  void reply(Handle connection, Session& session, std::string json);
  void refuse(Context& context, const Error& error, std::string_view channel);
  enum class ReplySize : std::uint8_t { small, large };
  ReplyTo reserve(Context& context, ReplySize size = ReplySize::small);
  // `lists`: the replica whose members the reply lists.
  void complete(const ReplyTo& to, std::string json, std::uint32_t activates = 0, Handle lists = {});
  // The answer of a channel's home is an error.
  void complete_refused(const ReplyTo& to, const Error& error, std::string_view request,
                        std::string_view channel);
  PendingReply* pending_reply(const ReplyTo& to);
  std::string request_id_of(const ReplyTo& to);

  // delivery.cpp
  enum class Following : std::uint8_t { asked, automatic };
  void subscribe_one(Context& context, protocol::SubscribeItem&& item);
  void subscribe_one(Context& context, protocol::SubscribeItem&& item, const Admission& admission,
                     Following following);
  void follow_inbox(Handle connection, Session& session, const Time& now);
  void activate(Handle connection, Session& session, std::uint32_t subscription);
  void end_subscription(Handle connection, Session& session, Subscription& subscription);
  void remove_subscriber(Replica& replica, std::uint32_t place);
  Replica::Turn& turn_of(Handle handle, Replica& replica);
  void flush(Handle handle, Replica& replica);
  std::size_t push_some(Replica& replica, const Subscriber& subscriber, Outbound::Lane lane);
  void go_behind(Session& session, Subscriber& subscriber, Subscription& subscription,
                 std::uint64_t next_seq);
  void ask_members(Handle connection, const Replica& replica);
  void tell_members(Handle connection, const PresenceResult& result);
  bool catch_up_alone(Replica& replica, Subscriber& subscriber);
  void fall_behind(const Replica& replica, Subscriber& subscriber, std::size_t from);
  void catch_up_next(Handle connection, Session& session);
  void note_own(Session& session, const ChannelKey& channel, std::uint64_t seq);

  // sessions.cpp
  std::string capabilities_of(const Session& session) const;
  bool adopt(Handle connection, Session& session, std::shared_ptr<const auth::Identity> identity,
             const Time& now);
  void forget_user(Handle connection, Session& session, const Time& now);
  void end(Handle connection, Session& session, std::uint16_t code, std::string_view reason);
  const std::shared_ptr<const Author>& author_of(Session& session);
  Caller caller_of(const Session& session) const {
    return {.identity = session.identity.get(), .server = false};
  }

  struct UserKey {
    TenantId tenant;
    std::string user_id;
    friend auto operator<=>(const UserKey&, const UserKey&) = default;
  };

  SessionOptions options_;
  const Namespaces& namespaces_;
  Tenants& tenants_;
  Shared shared_;
  Outbound& outbound_;
  Post post_;
  std::vector<std::unique_ptr<Session>> sessions_;  // by the index of the connection's handle
  Slab<Replica> replicas_;
  std::unordered_map<ChannelKey, Handle, ChannelKeyHash> replica_by_name_;
  std::vector<Handle> dirty_;  // replicas with a batch
  std::vector<std::unique_ptr<Replica::Turn>> spare_turns_;
  std::map<UserKey, std::vector<Handle>> users_;
  struct Everybody {
    guard::Population usual;
    guard::PopulationWatch watch;
  };
  std::vector<Everybody> everybody_;  // by tenant: nothing of one shows in another's reports
  ShardCounts counts_;
};

}  // namespace tidewire::hub
