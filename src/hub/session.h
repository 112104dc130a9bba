// A connection's identity, rights and subscriptions. It knows nothing of sockets.
//
// Invariant: replies leave in the order of their requests, also where one waits for a disk or another shard
// (protocol §4 promises less). Owned by the connection's shard.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "auth/identity.h"
#include "base/index_table.h"
#include "base/ring.h"
#include "base/thin_list.h"
#include "guard/anomaly.h"
#include "guard/auth_rate.h"
#include "guard/connection_health.h"
#include "guard/malformed_limit.h"
#include "guard/request_limiter.h"
#include "guard/shared_limits.h"
#include "guard/user_records.h"
#include "hub/messages.h"
#include "hub/types.h"
#include "protocol/request.h"

namespace tidewire::hub {

// What few subscriptions come to need.
struct SubscriptionExtras {
  std::uint64_t next_seq = 0;
  // What waited in an inbox and has not been sent yet; while there is some, it is behind.
  std::optional<Backlog> backlog = {};
  // Seqs that the connection published without echo and that it has not passed yet, ascending.
  std::vector<std::uint64_t> own = {};
  // It is caught up as far as this, and then ends with `revoked`; 0: it goes on.
  std::uint64_t last_seq = 0;
};

// What a subscription needs next, and beside it what few come to need: one word, for there are very many.
class SubscriptionNeeds {
 public:
  SubscriptionNeeds() = default;
  SubscriptionNeeds(SubscriptionNeeds&& other) noexcept : word_(std::exchange(other.word_, kSeq)) {}
  SubscriptionNeeds& operator=(SubscriptionNeeds&& other) noexcept {
    std::swap(word_, other.word_);
    return *this;
  }
  ~SubscriptionNeeds() { delete extras(); }

  std::uint64_t next_seq() const { return extras() ? extras()->next_seq : word_ >> 1; }
  void set_next_seq(std::uint64_t seq) {
    if (SubscriptionExtras* const there = extras())
      there->next_seq = seq;
    else
      word_ = seq << 1 | kSeq;
  }
  // Null: there are none.
  SubscriptionExtras* extras() const {
    return word_ & kSeq ? nullptr : reinterpret_cast<SubscriptionExtras*>(word_);
  }
  SubscriptionExtras& more() {
    if (!extras()) word_ = reinterpret_cast<std::uintptr_t>(new SubscriptionExtras{.next_seq = next_seq()});
    return *extras();
  }
  void drop_extras() {
    const std::uint64_t seq = next_seq();
    delete extras();
    word_ = seq << 1 | kSeq;
  }

 private:
  // Of a seq, which fits the other 63 bits; the address of the extras has no such bit.
  static constexpr std::uint64_t kSeq = 1;
  static_assert(alignof(SubscriptionExtras) > kSeq && sizeof(std::uintptr_t) == sizeof(std::uint64_t));
  std::uint64_t word_ = kSeq;
};

struct Subscription {
  enum class State : std::uint8_t {
    joining,  // the home has not answered, or its answer waits for earlier replies
    live,     // messages are pushed as they come
    behind    // needs.next_seq() is fetched from the home when there is room
  };
  Handle replica;
  SubscriptionNeeds needs;
  std::uint32_t number = 0;      // unique in the session, never used again
  std::uint32_t place : 24 = 0;  // in the replica's subscribers, unless joining
  State state : 2 = State::joining;
  bool counted : 1 = false;  // the home counts it
  bool presence : 1 = false;
  bool fetching : 1 = false;         // a catch-up is under way
  bool presence_missed : 1 = false;  // presence events were dropped while it was behind

  static constexpr std::size_t kPlaces = std::size_t{1} << 24;

  const Backlog* backlog() const {
    const SubscriptionExtras* extras = needs.extras();
    return extras && extras->backlog ? &*extras->backlog : nullptr;
  }
  std::span<const std::uint64_t> own() const {
    const SubscriptionExtras* extras = needs.extras();
    return extras ? std::span<const std::uint64_t>(extras->own) : std::span<const std::uint64_t>();
  }
  std::uint64_t last_seq() const { return needs.extras() ? needs.extras()->last_seq : 0; }
};
static_assert(sizeof(Subscription) == 24);

// A reply that has a place in the order but may not be known yet.
struct PendingReply {
  std::uint32_t slot = 0;
  std::uint32_t activates = 0;        // a subscription that goes live once this is sent; 0: none
  Handle lists = {};                  // the replica whose members are in the reply; null: none
  std::uint32_t presence_events = 0;  // that had come to it when the list did
  std::int64_t asked_us = 0;          // mono, the turn that read the request
  bool ready = false;
  bool large = false;     // may hold many messages
  bool unechoed = false;  // a publish with `echo` false
  std::string id;         // of the request; JSON text
  std::string json;       // once ready
};

// Channels of a `subscribe` that are still to be asked for: so that a hundred answers are not held at once,
// and so that one which rests on the answer to an earlier one knows it.
struct ToSubscribe {
  struct Item {
    std::string id;  // of the request; JSON text
    protocol::SubscribeItem item;
    bool ends_malformed = false;  // the last of a request that had a malformed channel
  };
  static constexpr std::uint32_t kWindowMin = 4, kWindowMax = 32;
  std::uint32_t window = kWindowMin;  // so many may be under way; more once answers prove to be short
  Ring<Item> items;
};

// A channel in whose presence list the connection is, and as whom: authenticating later must not
// leave the anonymous member behind.
struct Entered {
  ChannelKey channel;
  std::shared_ptr<const Author> author;
};

// What few connections come to need.
struct SessionExtras {
  std::vector<Entered> entered;
  guard::MalformedLimit malformed;
  guard::AuthRate auth_rate;
  std::int64_t authenticate_by_ms = 0;  // mono; 0: no deadline
  std::int64_t held_until_ms = 0;       // mono; what follows an anomaly is in force
  std::uint8_t failed_auths = 0;
  std::optional<ErrorCode> ends_with;  // 1008, once the replies that are due are out
};

struct Session {
  std::uint32_t generation = 0;  // of the connection's handle
  TenantId tenant = 0;
  bool restricted = false;    // `auth.required`, and not authenticated yet
  bool closing = false;       // a close is decided; nothing more is taken
  bool of_user = false;       // among its user's connections
  bool user_counted = false;  // in the limit of those, where there is one
  bool expiry_warned = false;
  bool manual_inbox = false;        // the client follows its inbox itself
  bool wants_page = false;          // stands in line for what one that is behind needs next
  std::uint16_t large_replies = 0;  // pending ones
  std::uint32_t next_slot = 0;
  std::uint32_t next_subscription = 1;
  std::uint32_t behind = 0;  // subscriptions that are behind
  guard::ConnectionHealth health;
  std::uint64_t connection_id = 0;
  std::int64_t connected_at_ms = 0;
  auth::IdentityPtr identity;  // null: anonymous
  ThinList<Subscription> subscriptions;
  std::unique_ptr<SessionExtras> extras;        // what most have no use for; made by the one below
  std::unique_ptr<Ring<PendingReply>> replies;  // null: nothing waits
  std::unique_ptr<ToSubscribe> to_subscribe;
  guard::RequestLimiter limiter;
  guard::AdaptiveLimit adaptive;
  guard::ActivityMeter activity;
  guard::SharedKeys shared_keys;
  // The neighbours among the user's connections, by the indices of their handles.
  std::uint32_t next_of_user = IndexTable::kNone;
  std::uint32_t previous_of_user = IndexTable::kNone;

  SessionExtras& more() {
    if (!extras) extras = std::make_unique<SessionExtras>();
    return *extras;
  }
  // A close was asked for; no other reason for one counts any more.
  bool ended() const { return closing && !(extras && extras->ends_with); }
  // Mono; 0: not held.
  std::int64_t held_until_ms() const { return extras ? extras->held_until_ms : 0; }
  void hold(std::int64_t until_ms) {
    if (until_ms != held_until_ms()) more().held_until_ms = until_ms;
  }
  Subscription* find(std::uint32_t number);
  Subscription* find_replica(Handle replica);
};

static_assert(sizeof(Session) <= 208, "an idle connection keeps one of these");

std::string connection_name(std::uint64_t connection_id);

}  // namespace tidewire::hub
