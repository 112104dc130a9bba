// From a channel's home to its subscribers on this shard: live ones are pushed to, once a turn; one
// whose connection is over its outbound budget falls behind, which is a number and nothing else, and is
// caught up from the home at its own pace (ARCHITECTURE.md, idea 5).
//
// Why there is no seam: envelopes from the home keep their order. When an answer says "up to n", all
// deliveries up to n have been handled here and none after n has; so what comes next is n+1.

#include <algorithm>

#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

namespace {
// Turns are kept for the next ones: not more, and no larger ones, than are used again soon.
constexpr std::size_t kSpareTurns = 256;
constexpr std::size_t kSpareTurnBytes = 64 * 1024;
// So much of a channel's turn is handed over at once. A turn may bring a batch of many megabytes: a budget
// that was judged only behind it would be none, and a reader that is stuck would hold all of it.
constexpr std::size_t kTurnBytesMax = 64 * 1024;
}  // namespace

Replica::Turn& Sessions::turn_of(Handle handle, Replica& replica) {
  if (replica.turn) return *replica.turn;
  if (spare_turns_.empty()) {
    replica.turn = std::make_unique<Replica::Turn>();
  } else {
    replica.turn = std::move(spare_turns_.back());
    spare_turns_.pop_back();
  }
  dirty_.push_back(handle);
  return *replica.turn;
}

void Sessions::handle(Delivery&& delivery, const Time&) {
  Replica* replica = replicas_.get(delivery.follower);
  if (replica == nullptr) return;
  if (delivery.seq != 0) replica->seq = delivery.seq;
  if (replica->subscribers.empty()) return;
  Replica::Turn& turn = turn_of(delivery.follower, *replica);
  turn.items.push_back(
      {.first_seq = delivery.first_seq, .seq = delivery.seq, .presence_only = false, .skip = delivery.skip});
  if (delivery.skip) turn.for_all = false;
  // A channel's name needs no escaping: its characters are plain in JSON.
  turn.batch.add("{\"type\":\"message\",\"channel\":\"", replica->key.name, "\",", delivery.body.view());
  if (turn.batch.bytes() >= kTurnBytesMax) flush(delivery.follower, *replica);
}

void Sessions::handle(PresenceDelivery&& delivery, const Time&) {
  Replica* replica = replicas_.get(delivery.follower);
  if (replica == nullptr) return;
  ++replica->presence_events;
  if (std::ranges::none_of(replica->subscribers, &Subscriber::presence)) return;
  Replica::Turn& turn = turn_of(delivery.follower, *replica);
  turn.items.push_back({.first_seq = 0, .seq = 0, .presence_only = true, .skip = delivery.skip});
  turn.for_all = false;
  turn.batch.add(delivery.json.view());
}

void Sessions::flush() {
  for (const Handle handle : dirty_) {
    Replica* replica = replicas_.get(handle);
    if (replica != nullptr && replica->turn) flush(handle, *replica);
  }
  dirty_.clear();
  load_of_turn_ = 0;
  serve_pages();
}

void Sessions::flush(Handle handle, Replica& replica) {
  const Outbound::Lane lane{replica.priority, handle};
  Replica::Turn& turn = *replica.turn;
  const std::size_t count = turn.batch.size();
  const bool presence_changed =
      !turn.for_all && std::ranges::any_of(turn.items, &Replica::Turn::Item::presence_only);
  for (Subscriber& subscriber : replica.subscribers) {
    if (!subscriber.live) {
      if (subscriber.presence && presence_changed)
        find(subscriber.connection)->find(subscriber.subscription)->presence_missed = true;
      continue;
    }
    std::size_t taken = count;
    if (!turn.for_all || subscriber.ahead)
      taken = push_some(replica, subscriber, lane);
    else if (!outbound_.push(subscriber.connection, turn.batch, 0, count, lane))
      taken = 0;
    if (taken < count) fall_behind(replica, subscriber, taken);
    if (subscriber.ahead) subscriber.ahead = next_seq_of(subscriber) > replica.seq + 1;
  }
  std::unique_ptr<Replica::Turn> used = std::move(replica.turn);
  if (spare_turns_.size() >= kSpareTurns || turn.batch.bytes() > kSpareTurnBytes) return;
  turn.batch.clear();
  turn.items.clear();
  turn.for_all = true;
  spare_turns_.push_back(std::move(used));
}

std::uint64_t Sessions::next_seq_of(const Subscriber& subscriber) {
  return find(subscriber.connection)->find(subscriber.subscription)->needs.next_seq();
}

// Pushes the runs of messages that are for this subscriber; answers where it had to stop. One who began in
// the middle of a conflated channel's window knows what comes before its own position, and stops at the
// merged delivery of which it has a part: it gets its own.
std::size_t Sessions::push_some(Replica& replica, const Subscriber& subscriber, Outbound::Lane lane) {
  Replica::Turn& turn = *replica.turn;
  const std::uint64_t next_seq = subscriber.ahead ? next_seq_of(subscriber) : 0;
  const auto wanted = [&](const Replica::Turn::Item& item) {
    const bool known = item.seq != 0 && item.seq < next_seq;
    return !known && item.skip != subscriber.connection && (!item.presence_only || subscriber.presence);
  };
  const auto is_known_in_part = [&](const Replica::Turn::Item& item) {
    return item.first_seq < next_seq && item.seq >= next_seq;
  };
  std::size_t begin = 0;
  while (begin < turn.items.size()) {
    if (!wanted(turn.items[begin])) {
      ++begin;
      continue;
    }
    if (is_known_in_part(turn.items[begin])) return begin;
    std::size_t end = begin + 1;
    while (end < turn.items.size() && wanted(turn.items[end]) && !is_known_in_part(turn.items[end])) ++end;
    if (!outbound_.push(subscriber.connection, turn.batch, begin, end, lane)) return begin;
    begin = end;
  }
  return begin;
}

// The connection is full, or has a part of what comes: from here on the subscription is a position, the first
// numbered message at or behind `from` that it lacks. Where only ephemeral ones were left they are lost to
// it, as the protocol allows (§4 `ephemeral`).
void Sessions::fall_behind(const Replica& replica, Subscriber& subscriber, std::size_t from) {
  Session& session = *find(subscriber.connection);
  Subscription& subscription = *session.find(subscriber.subscription);
  const auto& items = replica.turn->items;
  std::uint64_t next_seq = replica.seq + 1;
  for (std::size_t i = items.size(); i > from; --i) {
    if (items[i - 1].seq != 0) next_seq = items[i - 1].first_seq;
    if (items[i - 1].presence_only && subscriber.presence) subscription.presence_missed = true;
  }
  next_seq = std::max(next_seq, subscription.needs.next_seq());
  if (next_seq > replica.seq && !subscription.presence_missed) return;
  go_behind(session, subscriber, subscription, next_seq);
}

void Sessions::go_behind(Session& session, Subscriber& subscriber, Subscription& subscription,
                         std::uint64_t next_seq) {
  subscriber.live = subscriber.ahead = false;
  subscription.state = Subscription::State::behind;
  subscription.needs.set_next_seq(next_seq);
  ++session.behind;
  ++replicas_.get(subscription.replica)->behind;
  ++counts_of(session.tenant).went_behind;
  outbound_.notify_when_drained(subscriber.connection);
}

// Its `subscribed` has been sent: from now on the subscription is among the subscribers.
void Sessions::activate(Handle connection, Session& session, std::uint32_t number) {
  Subscription* subscription = session.find(number);
  if (subscription == nullptr) return;
  Replica& replica = *replicas_.get(subscription->replica);
  // What waits in the batch is older than what the answer said.
  if (replica.turn) flush(subscription->replica, replica);
  TIDEWIRE_CHECK(replica.subscribers.size() < Subscription::kPlaces);
  subscription->place = replica.subscribers.size() % Subscription::kPlaces;
  const bool live = subscription->needs.next_seq() > replica.seq && !subscription->backlog();
  replica.subscribers.push_back({.connection = connection,
                                 .subscription = number,
                                 .live = live,
                                 .ahead = live && subscription->needs.next_seq() > replica.seq + 1,
                                 .presence = subscription->presence});
  subscription->state = live ? Subscription::State::live : Subscription::State::behind;
  if (live) return;
  ++session.behind;
  ++replica.behind;
  want_page(connection, session);
}

// The list will come in order with the channel's presence events, without an `id`.
void Sessions::ask_members(Handle connection, const Replica& replica) {
  post_(replica.home_shard, PresenceCommand{.channel = replica.key,
                                            .reply = {.kind = ReplyTo::Kind::notice, .target = connection},
                                            .action = protocol::PresenceAction::get,
                                            .author = nullptr,
                                            .data = {},
                                            .session = connection,
                                            .rights = {.subscribe = true}});
}

void Sessions::end_subscription(Handle connection, Session& session, Subscription& subscription,
                                std::uint64_t lacks_from) {
  const Handle handle = subscription.replica;
  Replica& replica = *replicas_.get(handle);
  if (subscription.state != Subscription::State::joining) remove_subscriber(replica, subscription.place);
  if (subscription.state == Subscription::State::behind) no_longer_behind(session, subscription);
  outbound_.drop(connection, {replica.priority, handle});
  --counts_of(session.tenant).subscriptions;
  // One that the home does not count yet is taken back when its answer comes.
  if (subscription.counted)
    post_(replica.home_shard, UnsubscribeCommand{.channel = replica.key,
                                                 .follower = handle,
                                                 .session = connection,
                                                 .subscription = subscription.number,
                                                 .lacks_from = lacks_from});
  subscription = std::move(session.subscriptions.back());
  session.subscriptions.pop_back();
  if (--replica.subscriptions > 0) return;
  replicas_.erase(handle);
}

void Sessions::remove_subscriber(Replica& replica, std::uint32_t place) {
  Subscriber& hole = replica.subscribers[place];
  const bool is_last = place + 1 == replica.subscribers.size();
  if (!is_last) {
    hole = replica.subscribers.back();
    find(hole.connection)->find(hole.subscription)->place = place % Subscription::kPlaces;
  }
  replica.subscribers.pop_back();
}

// The seq in `published` counts as the delivery (protocol §4 `echo`): a catch-up must not bring it back.
void Sessions::note_own(Session& session, const ChannelKey& channel, std::uint64_t seq) {
  const Handle handle = replicas_.find(channel);
  Subscription* subscription = handle ? session.find_replica(handle) : nullptr;
  if (subscription == nullptr || seq == 0) return;
  std::vector<std::uint64_t>& own = subscription->needs.more().own;
  if (subscription->state == Subscription::State::live) {
    // It may yet fall behind with what waits in the batch; it has passed all that is older.
    const Replica& replica = *replicas_.get(handle);
    std::uint64_t waits_from = seq;
    if (replica.turn)
      for (const Replica::Turn::Item& item : replica.turn->items)
        if (item.seq != 0) waits_from = std::min(waits_from, item.seq);
    std::erase_if(own, [&](std::uint64_t old) { return old < waits_from; });
  } else if (own.size() >= kOwnMax) {
    own.erase(own.begin());
  }
  own.push_back(seq);
}

}  // namespace tidewire::hub
