// The sessions of one shard: what its connections ask, and what they get.
//
// Takes the text of messages, answers from channels' homes and the time; gives envelopes for shards and
// calls of Outbound. No socket, clock or random source inside. Owned by the shard's thread.
// Invariant: whatever a session is part of (subscriptions, presence, counts) ends with close().
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/side_slab.h"
#include "base/time.h"
#include "guard/anomalies.h"
#include "guard/attempts.h"
#include "guard/known_users.h"
#include "guard/shared_limits.h"
#include "hub/access.h"
#include "hub/judge.h"
#include "hub/messages.h"
#include "hub/named_slab.h"
#include "hub/namespaces.h"
#include "hub/outbound.h"
#include "hub/recent.h"
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
  std::int64_t health_interval_ms = 30'000;
  guard::HealthLimits health = {};
  std::size_t page_bytes = std::size_t{256} * 1024;  // of what a subscription that is behind gets at once
  std::vector<std::string> anonymous_capabilities;
  guard::AnomalyPolicy anomaly = {};
};

// How a connection comes to be; the token, if there was one, has been judged.
struct Opening {
  TenantId tenant = 0;
  std::uint64_t connection_id = 0;
  auth::IdentityPtr identity;
  IpAddress address;
  bool manual_inbox = false;  // the client follows its inbox itself
};

// Who makes a request without a session. No identity: anonymous.
struct LoneCaller {
  TenantId tenant = 0;
  const auth::Identity* identity = nullptr;
  IpAddress address = {};
};

// A user's call over HTTP, once it is answered.
struct UserCall {
  TenantId tenant = 0;
  std::string user;
  IpAddress address = {};
  std::size_t bytes = 0;
  std::string channel = {};               // that it is about; empty: none
  bool publishes = false;                 // a message that is kept
  std::optional<ErrorCode> outcome = {};  // why it was refused
};

class Sessions {
 public:
  using Post = std::function<void(ShardId, Message&&)>;

  // What is shared by all shards, and outlives them.
  struct Shared {
    guard::SharedLimits& limits;
    guard::Attempts& attempts;
    guard::LimitKeys keys;
    guard::KnownUsers* users = nullptr;  // null: there is no directory, every user exists
  };

  Sessions(SessionOptions options, const Namespaces& namespaces, Tenants& tenants, Shared shared,
           Outbound& outbound, Post post);

  // Begins a session and sends `connected`; or, where the user has too many connections, closes it.
  void open(Handle connection, Opening&& opening, const Time& now);

  // The connection is gone, whatever the reason. Safe for one that has no session.
  void close(Handle connection, const Time& now);

  enum class Taken : std::uint8_t {
    yes,
    wait_for_keys,  // an `auth` needs a key that is being fetched: hand the same message in again
    wait_for_user   // likewise, for what the directory says of a user
  };
  // One text message, valid UTF-8.
  Taken on_text(Handle connection, std::string_view text, const Time& now, const Awaited& awaited = {});
  // A message that is malformed before it is JSON: binary (invalid_message), or too_large.
  void on_malformed(Handle connection, ErrorCode code, std::string message, const Time& now);

  // False while so many replies are outstanding, or such an important one, that nothing further should be
  // read or carried out.
  bool can_take(Handle connection) const;
  // A part of the last message waits to be carried out, before the next message is handed in.
  bool has_rest(Handle connection) const;
  // Carries out a piece of it; only while can_take().
  void take_rest(Handle connection, const Time& now);

  // callers.cpp: counts a request that has no session. Why it is refused; nothing where it may go on.
  std::optional<Error> pass_rate(const LoneCaller& caller, const Time& now);
  void watch_call(const UserCall& call, const Time& now);
  // Judges calls of users who have fallen silent, on any shard; a few times a second on one of them.
  void judge_calls(const Time& now);

  // requests/follow.cpp, for event streams: subscribes without a request; answered as `subscribe` is.
  void follow(Handle connection, protocol::SubscribeItem&& item, const Time& now);
  // Nothing that was asked waits for its answer.
  bool is_answered(Handle connection) const;
  // The first seq of the channel that its `subscribed` does not cover; for use while that is being sent.
  std::optional<std::uint64_t> first_missing(Handle connection, std::string_view channel) const;

  // Publishes that came over HTTP, refused ones too: requests as those of sessions are.
  void note_publishes(TenantId tenant, std::uint64_t count) {
    counts_of(tenant).requests[kPublishType] += count;
  }

  // A token was refused, wherever it was shown: a failed attempt of the address (protocol §2), unless a full
  // house or a part that is down is the reason. Whether it was one.
  bool note_refused_token(TenantId tenant, const IpAddress& client, const Error& error, const Time& now);

  void on_drained(Handle connection, const Time& now);
  // A ping of ours has come back.
  void on_round_trip(Handle connection, std::int64_t round_trip_us);
  // health.cpp: judges the connections whose turn it is (requirement P6), a slice at a time, so that each
  // is looked at once every `health_interval_ms` and no call takes long. Call it every 100 ms or so.
  void pass_health(const Time& now);
  // Once everything of the turn is written: what was answered in it took until now. `elapsed_us` is since
  // the turn's `now`.
  void end_turn(const Time& now, std::int64_t elapsed_us);
  Recent& recent() { return recent_; }
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
  void handle(const EpochChanged& changed, const Time& now);

  // This shard's part of an answer to a question that goes to all shards.
  AnswerPart answer(const Question& question, const Time& now);

  // Hands this turn's deliveries to the connections, and pages to those that are behind: once, at the end
  // of the turn.
  void flush();
  // More pages could be handed over than a turn may: the next one must not wait.
  bool has_more() const { return !line_[0].empty() || (!line_[1].empty() && load_under_way_ == 0); }
  // For checks: where some of the connection's subscriptions are behind, something of them is under way or
  // in line. If not, it must have been asked for with notify_when_drained().
  bool is_served(Handle connection) const;
  // Channels with deliveries to hand over.
  std::size_t waiting_channels() const { return dirty_.size(); }

  // The directory no longer has the user: its connections end with `user_not_found`.
  void user_gone(TenantId tenant, const std::string& user_id);
  // Who is connected here: up to `count` users, others with each call until all have had their turn.
  std::vector<std::pair<TenantId, std::string>> next_users(std::size_t count);

  // Sends `reconnect` to a connection, before a drain closes it.
  void announce_drain(Handle connection, std::int64_t after_ms);

  // Tells live sessions what a reload changed: the options, and their tenants' limits before.
  void reload(SessionOptions options, const Time& now);
  // review.cpp: somebody may have lost a right by a reload. Everybody is looked at again, a slice with each
  // call of pass_reviews(), some of which should come every second.
  void begin_reviews() { review_next_ = 0; }
  void pass_reviews();

  const Session* session(Handle connection) const;
  Tenant& tenant(TenantId id) { return tenants_[id]; }
  // Of all tenants together, and of each.
  ShardCounts counts() const { return sum_of(counts_); }
  const std::vector<ShardCounts>& tenant_counts() const { return counts_; }
  // Channels that are followed here, and users that are connected here.
  std::size_t replicas() const { return replicas_.size(); }
  std::size_t users() const { return users_.size(); }

  static constexpr std::size_t kPendingRepliesMax = 1024;
  // Of those with messages in them. Until they are written nothing else bounds what they hold.
  static constexpr std::uint32_t kLargeRepliesMax = 4;
  static constexpr std::size_t kShortAnswer = 8192;
  // A subscription that is behind remembers so many messages that must not come back to it.
  static constexpr std::size_t kOwnMax = 4096;
  static constexpr std::int64_t kExpiryWarningMs = 60'000;
  static constexpr std::size_t kHealthSlice = 4096;  // looked at in one call, at most
  static constexpr std::size_t kEndedPerSlice = 16;  // of these
  static constexpr std::size_t kReviewSlice = 8192;  // likewise, subscriptions

 private:
  struct Context {  // of the request being carried out
    Handle connection;
    Session& session;
    const Time& now;
    std::string_view id;
    std::string_view type;
    std::size_t bytes = 0;  // of its message, as the watch counted it
  };

  Session* find(Handle connection);
  const Tenant& tenant_of(const Session& session) const { return tenants_[session.tenant]; }
  ShardId home_of(const ChannelKey& key) const {
    return hub::home_of(key, options_.hash_seed, options_.shards);
  }

  // dispatch.cpp
  void note_message(Handle connection, Session& session, std::size_t bytes, const Time& now);
  Taken dispatch(Context& context, protocol::Request&& request, const Awaited& awaited);
  bool pass_rate(Context& context, const protocol::Request& request);
  void note_offence(Session& session, guard::Offence offence, std::int64_t now_ms) {
    session.adaptive.bad(shared_.limits.records(), session.shared_keys.user, offence, now_ms);
  }
  // Counts a message that was malformed and has been answered.
  void note_malformed(Handle connection, Session& session, const Time& now);
  void malformed(Handle connection, Session& session, const protocol::DecodeFailure& failure,
                 const Time& now);

  // anomalies.cpp: what a connection does is watched (requirement P3)
  void watch(Handle connection, Session& session, std::size_t bytes, const Time& now);
  void watch_failure(Session& session, const Error& error, std::string_view channel);
  void judge_activity(Handle connection, Session& session, const Time& now);
  void judge_calls(const guard::CallWatch::Window& window, const Time& now);
  struct Watched {
    TenantId tenant;
    const guard::LimitKey& key;
    std::string_view user;  // empty: anonymous, and the key is the address's
    IpAddress address;
  };
  guard::Anomalies::Verdict judge(const Watched& who, const guard::Activity& activity, const Time& now);
  static bool is_fault(std::optional<ErrorCode> outcome);
  static bool is_of_channel(std::optional<ErrorCode> outcome);
  static guard::ActivityMeter::Writer writer_in(const Namespace& ns);
  std::uint64_t channel_hash(std::string_view channel) const;
  static Error held_error(std::int64_t left_ms);
  static const guard::LimitKey& watched_key(const Session& session) {
    return session.shared_keys.user ? session.shared_keys.user : session.shared_keys.address;
  }
  bool is_held(const Session& session, guard::AnomalyAction by, std::int64_t now_ms) const {
    return options_.anomaly.action == by && is_held(session, now_ms);
  }
  // What is refused then is not watched, or the server's own answers would be an anomaly.
  bool is_held(const Session& session, std::int64_t now_ms) const {
    return options_.anomaly.holds() && session.held_until_ms() > now_ms;
  }

  // requests/*.cpp: each answers, now or later
  void carry_out(Context& context, protocol::PingRequest&& request);
  Taken authenticate(Context& context, const protocol::AuthRequest& request, const Awaited& awaited);
  bool pass_auth_rate(Context& context);
  void note_dry_run(const Session& session);
  Taken wait_for(Context& context, const Refusal& refusal);
  Taken refuse_token(Context& context, const Error& error);
  std::string auth_success_of(const Context& context) const;
  void carry_out(Context& context, protocol::SubscribeRequest&& request);
  void carry_out(Context& context, protocol::UnsubscribeRequest&& request);
  Taken carry_out(Context& context, protocol::PublishRequest&& request, const Awaited& awaited);
  void carry_out(Context& context, protocol::HistoryRequest&& request);
  void carry_out(Context& context, protocol::PresenceRequest&& request);
  void carry_out(Context& context, protocol::AckRequest&& request);
  enum class Following : std::uint8_t { asked, automatic };
  bool must_wait(const Session& session, const SharedName& channel) const;
  void subscribe_one(Context& context, protocol::SubscribeItem&& item);
  void subscribe_one(Context& context, protocol::SubscribeItem&& item, const Admission& admission,
                     Following following);
  void follow_inbox(Handle connection, Session& session, const Time& now);
  void tell_members(Handle connection, const PresenceResult& result);

  // replies.cpp: the order of answers
  void reply(Context& context, std::string json) {
    reply(context.connection, context.session, std::move(json), context.now.mono_us);
  }
  // `asked_us` 0: it answers no request.
  void reply(Handle connection, Session& session, std::string json, std::int64_t asked_us = 0);
  void refuse(Context& context, const Error& error, std::string_view channel);
  void retire_replies(Session& session);
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
  void activate(Handle connection, Session& session, std::uint32_t subscription);
  void end_subscription(Handle connection, Session& session, Subscription& subscription,
                        std::uint64_t lacks_from = 0);
  void remove_subscriber(Replica& replica, std::uint32_t place);
  Replica::Turn& turn_of(Handle handle, Replica& replica);
  void flush(Handle handle, Replica& replica);
  std::size_t push_some(Replica& replica, const Subscriber& subscriber, Outbound::Lane lane);
  void go_behind(Session& session, Subscriber& subscriber, Subscription& subscription,
                 std::uint64_t next_seq);
  void ask_members(Handle connection, const Replica& replica);
  std::uint64_t next_seq_of(const Subscriber& subscriber);
  void fall_behind(const Replica& replica, Subscriber& subscriber, std::size_t from);
  void note_own(Session& session, const ChannelKey& channel, std::uint64_t seq);

  // review.cpp: ends what the connection would be refused now, and makes what stays the present user's.
  void review(Handle connection, Session& session);
  void review_subscriptions(Handle connection, Session& session);
  void review_presence(Handle connection, Session& session);

  // questions.cpp: each adds what it asks for
  void answer(const UserQuery& query, AnswerPart& part, const Time& now);
  void answer(const DisconnectUser& disconnect, AnswerPart& part, const Time& now);
  void answer(const RevokeUser& revoke, AnswerPart& part, const Time& now);
  void answer(const BroadcastAll& broadcast, AnswerPart& part, const Time& now);
  void answer(const ListChannels& list, AnswerPart& part, const Time& now);
  void answer(const CountThings& count, AnswerPart& part, const Time& now);
  void answer(const ListConnections& list, AnswerPart& part, const Time& now);

  // catch_up.cpp
  // A part of a channel's log as frames: what there is from first_seq to before next_seq.
  struct Page {
    Handle replica;
    std::uint64_t first_seq = 0;
    std::uint64_t next_seq = 0;
    std::int64_t good_until_ms = std::numeric_limits<std::int64_t>::max();  // unix
    std::uint64_t gaps = 0;
    protocol::DeliveryBatch batch = {};
  };
  Subscription* next_behind(Session& session);
  void want_page(Handle connection, Session& session);
  void serve_pages();
  void serve_page(Handle connection, Subscription& subscription);
  bool is_conflated(const Session& session, const Replica& replica) const;
  static Page render(const CatchUpResult& result, const Replica& replica, const Subscription& subscription);
  bool hand_over(Handle connection, const Replica& replica, const Subscription& subscription, Page& page);
  void keep(Page&& page);
  void catch_up(CatchUpResult&& result);
  void end_lost(const SubscriptionLost& lost);
  std::uint64_t give_last(Handle connection, const Subscription& subscription);
  void end_told(Handle connection, Session& session, Subscription& subscription, std::string_view code);
  void no_longer_behind(Session& session, const Subscription& subscription);

  // sessions.cpp
  ShardCounts& counts_of(TenantId tenant) { return counts_[tenant]; }
  std::string capabilities_of(const Session& session) const;
  bool adopt(Handle connection, Session& session, auth::IdentityPtr identity, const Time& now);
  void forget_user(Handle connection, Session& session, const Time& now);
  // Nothing but `ping` and `auth`, and an end, until it authenticates (protocol §2, `auth.required`).
  void restrict(Session& session, const Time& now);
  static void lift_restriction(Session& session);
  std::int64_t leeway_ms(const Session& session) const;
  void end(Handle connection, Session& session, std::uint16_t code, std::string_view reason);
  void end_answered(Handle connection, Session& session, ErrorCode why);
  const std::shared_ptr<const Author>& author_of(Handle connection, const Session& session);
  void forget_author(Handle connection);
  std::uint32_t first_of_user(const guard::LimitKey& user) const;
  // Calls f(Handle, Session&) for the user's connections on this shard.
  template <class F>
  void each_of_user(TenantId tenant, std::string_view user_id, F&& f);
  Caller caller_of(const Session& session) const {
    return {.identity = session.identity.get(), .server = false};
  }

  // Who speaks is written out for those who spoke last: most connections only listen.
  static constexpr std::size_t kAuthors = 256;
  struct KnownAuthor {
    Handle connection;
    std::shared_ptr<const Author> author;
  };

  SessionOptions options_;
  const Namespaces& namespaces_;
  Tenants& tenants_;
  Shared shared_;
  Outbound& outbound_;
  Post post_;
  SideSlab<Session> sessions_;  // at the index of the connection's handle
  NamedSlab<Replica> replicas_;
  std::vector<Handle> dirty_;  // replicas with a batch
  std::vector<std::unique_ptr<Replica::Turn>> spare_turns_;
  std::vector<std::unique_ptr<Ring<PendingReply>>> spare_replies_;
  std::vector<KnownAuthor> authors_;  // a connection's place is its index, modulo the size
  IndexTable users_;                  // of each the connection that came last
  std::size_t looked_at_ = 0;         // where next_users() has come to
  guard::ShareGate publish_gate_;
  Recent recent_;
  std::uint64_t answered_at_once_ = 0;     // in this turn
  std::vector<std::int64_t> answered_us_;  // likewise: when the others were asked
  std::size_t health_next_ = 0;            // the slot whose turn it is
  std::int64_t health_looked_ms_ = -1;     // when the last slice was; -1: never
  double health_owed_ = 0;                 // slots that are due
  // The slot whose turn it is; max: there is no review.
  std::size_t review_next_ = std::numeric_limits<std::size_t>::max();
  struct Everybody {
    guard::Population usual;
    guard::PopulationWatch watch;
  };
  std::vector<Everybody> everybody_;  // by tenant: nothing of one shows in another's reports
  // Connections that want a page, in the order in which they drained: of a channel in memory, of one whose
  // log may take its time. The former must not wait for a disk.
  std::array<std::deque<Handle>, 2> line_;
  std::size_t load_under_way_ = 0;  // of the latter
  std::size_t load_of_turn_ = 0;
  std::deque<Page> kept_pages_;      // the oldest first
  std::int64_t now_ms_ = 0;          // unix, of the latest turn that had to do with pages
  std::vector<ShardCounts> counts_;  // by tenant
};

template <class F>
void Sessions::each_of_user(TenantId tenant, std::string_view user_id, F&& f) {
  std::uint32_t index = first_of_user(shared_.keys.user(tenants_[tenant].name, user_id));
  while (index != IndexTable::kNone) {
    Session& session = *sessions_[index];
    const Handle connection{index, session.generation};
    index = session.next_of_user;
    f(connection, session);
  }
}

}  // namespace tidewire::hub
