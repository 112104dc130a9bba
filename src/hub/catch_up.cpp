// Subscriptions that are behind come forward by pages, each at the pace of its own connection (architecture
// §1.5), and cost nobody else anything: those whose connection has drained stand in line, and only so much
// is read at a time and handed over in a turn, however many there are. A page is rendered once for all
// who need it; the latest ones are kept while more than one subscription of their channel is behind.

#include <algorithm>

#include "hub/home.h"
#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

namespace {
// In messages, as far as is known beforehand: four full pages.
constexpr std::size_t kLoadMax = 2000;
constexpr std::size_t kKeptPages = 32;
constexpr std::size_t kKeptBytes = std::size_t{4} << 20;
constexpr std::uint32_t kBacklogLoad = 50;

bool is_stored(const Replica& replica) { return replica.ns->durability == Durability::disk; }

// Nothing in a page is to be left out for it, and nothing else comes before it.
bool is_like_others(const Subscription& subscription) {
  return !subscription.backlog() && subscription.own().empty() && subscription.last_seq() == 0;
}
}  // namespace

void Sessions::on_drained(Handle connection, const Time& now) {
  now_ms_ = now.unix_ms;
  Session* session = find(connection);
  if (session != nullptr && session->behind > 0 && !session->closing) want_page(connection, *session);
}

// The most important of those that are behind; none while one is being served already.
Subscription* Sessions::next_behind(Session& session) {
  Subscription* next = nullptr;
  for (Subscription& subscription : session.subscriptions) {
    if (subscription.state != Subscription::State::behind) continue;
    if (subscription.fetching) return nullptr;
    if (next == nullptr ||
        replicas_.get(subscription.replica)->priority < replicas_.get(next->replica)->priority)
      next = &subscription;
  }
  return next;
}

// Puts the connection in line for a page. One at a time: what comes fills it again, and its draining asks
// for the next.
void Sessions::want_page(Handle connection, Session& session) {
  const Subscription* next = session.wants_page ? nullptr : next_behind(session);
  if (next == nullptr) return;
  session.wants_page = true;
  line_[is_stored(*replicas_.get(next->replica)) ? 1 : 0].push_back(connection);
  serve_pages();
}

// One of each line in turn.
void Sessions::serve_pages() {
  for (bool moved = true; moved;) {
    moved = false;
    for (std::deque<Handle>& line : line_) {
      const bool stored = &line == &line_[1];
      if (line.empty() || load_of_turn_ >= kLoadMax || (stored && load_under_way_ >= kLoadMax)) continue;
      moved = true;
      const Handle connection = line.front();
      line.pop_front();
      Session* session = find(connection);
      if (session == nullptr || session->closing) continue;
      session->wants_page = false;
      if (Subscription* subscription = next_behind(*session)) serve_page(connection, *subscription);
    }
  }
}

// From the pages that are kept, or else from the channel's home.
void Sessions::serve_page(Handle connection, Subscription& subscription) {
  Replica& replica = *replicas_.get(subscription.replica);
  const std::uint64_t missing = replica.seq + 1 - std::min(replica.seq, subscription.needs.next_seq());
  auto load = static_cast<std::uint32_t>(std::min<std::uint64_t>(missing, Home::kReplayMessages));
  load = std::max(load, subscription.backlog() ? kBacklogLoad : 1);
  load_of_turn_ += load;
  if (is_like_others(subscription)) {
    const auto kept = std::ranges::find_if(kept_pages_, [&](const Page& page) {
      return page.replica == subscription.replica && page.first_seq == subscription.needs.next_seq() &&
             page.good_until_ms > now_ms_;
    });
    if (kept != kept_pages_.end()) {
      if (hand_over(connection, replica, subscription, *kept)) {
        ++counts_of(replica.key.tenant).pages_shared;
        subscription.needs.set_next_seq(kept->next_seq);
      }
      return outbound_.notify_when_drained(connection);
    }
  }
  subscription.fetching = true;
  if (!is_stored(replica)) load = 0;
  load_under_way_ += load;
  ++counts_of(replica.key.tenant).pages_asked;
  post_(replica.home_shard,
        CatchUpCommand{
            .home = replica.home,
            .follower = subscription.replica,
            .session = connection,
            .subscription = subscription.number,
            .next_seq = subscription.needs.next_seq(),
            .backlog = subscription.backlog() ? std::optional(*subscription.backlog()) : std::nullopt,
            .bytes_max = options_.page_bytes,
            .load = load,
            .merged = is_conflated(*find(connection), replica)});
}

// Who gets deliveries in bursts gets fewer of them (requirements P6, P7).
bool Sessions::is_conflated(const Session& session, const Replica& replica) const {
  return session.health.status() != guard::HealthStatus::healthy ||
         (replica.priority == Priority::low &&
          shared_.limits.overload().step() >= guard::Shedding::defer_low_priority);
}

bool Sessions::hand_over(Handle connection, const Replica& replica, const Subscription& subscription,
                         Page& page) {
  if (!page.batch.empty() &&
      !outbound_.push(connection, page.batch, 0, page.batch.size(), {replica.priority, subscription.replica}))
    return false;
  counts_of(replica.key.tenant).gaps += page.gaps;
  return true;
}

Sessions::Page Sessions::render(const CatchUpResult& result, const Replica& replica,
                                const Subscription& subscription) {
  Page page{
      .replica = result.follower, .first_seq = subscription.needs.next_seq(), .next_seq = result.next_seq};
  for (const CatchUpItem& item : result.items) {
    if (item.expires_ms != 0) page.good_until_ms = std::min(page.good_until_ms, item.expires_ms);
    switch (item.kind) {
      case CatchUpItem::Kind::message: {
        const bool is_own =
            item.first == item.last && std::ranges::binary_search(subscription.own(), item.first);
        if (!is_own)
          page.batch.add("{\"type\":\"message\",\"channel\":\"", replica.key.name, "\",", item.body.view());
        break;
      }
      case CatchUpItem::Kind::snapshot:
        page.batch.add(protocol::MessageWriter("snapshot")
                           .text("channel", replica.key.name)
                           .text("epoch", result.epoch)
                           .number("seq", item.last)
                           .json("data", item.body.view())
                           .finish());
        break;
      case CatchUpItem::Kind::gap:
        ++page.gaps;
        page.batch.add(protocol::MessageWriter("gap")
                           .text("channel", replica.key.name)
                           .text("epoch", result.epoch)
                           .number("from", item.first)
                           .number("to", item.last)
                           .finish());
    }
  }
  return page;
}

void Sessions::keep(Page&& page) {
  kept_pages_.push_back(std::move(page));
  std::size_t bytes = 0;
  for (const Page& kept : kept_pages_) bytes += kept.batch.bytes();
  while (kept_pages_.size() > kKeptPages || (bytes > kKeptBytes && kept_pages_.size() > 1)) {
    bytes -= kept_pages_.front().batch.bytes();
    kept_pages_.pop_front();
  }
}

// It is live again, or at an end.
void Sessions::no_longer_behind(Session& session, const Subscription& subscription) {
  --session.behind;
  if (--replicas_.get(subscription.replica)->behind > 0) return;
  std::erase_if(kept_pages_, [&](const Page& page) { return page.replica == subscription.replica; });
}

void Sessions::handle(SubscriptionLost&& lost, const Time& now) {
  now_ms_ = now.unix_ms;
  load_under_way_ -= lost.load;
  end_lost(lost);
  serve_pages();
}

void Sessions::end_lost(const SubscriptionLost& lost) {
  Session* session = find(lost.session);
  if (session == nullptr || session->closing) return;
  Subscription* subscription = session->find(lost.subscription);
  if (subscription == nullptr) return want_page(lost.session, *session);  // as after a CatchUpResult
  Replica& replica = *replicas_.get(subscription->replica);
  // What waits in the batch came before this.
  if (replica.turn) flush(subscription->replica, replica);
  if (subscription->state != Subscription::State::live && subscription->needs.next_seq() <= lost.up_to)
    subscription->needs.more().last_seq = lost.up_to;
  else
    end_told(lost.session, *session, *subscription, lost.code);
}

// Behind what waits for it in the lane.
void Sessions::end_told(Handle connection, Session& session, Subscription& subscription,
                        std::string_view code) {
  const Replica& replica = *replicas_.get(subscription.replica);
  outbound_.hurry(connection, {replica.priority, subscription.replica});
  const std::string channel(replica.key.name);
  end_subscription(connection, session, subscription);
  // Behind its `subscribed`, should that still wait for earlier replies.
  reply(connection, session,
        protocol::MessageWriter("unsubscribed").text("channel", channel).text("code", code).finish());
  want_page(connection, session);
}

// What is queued, and where they are, is of the old epoch; the new state comes as a `snapshot`, which is what
// seq 0 stands for.
void Sessions::handle(const EpochChanged& changed, const Time& now) {
  now_ms_ = now.unix_ms;
  Replica* replica = replicas_.get(changed.follower);
  if (replica == nullptr) return;
  replica->seq = 0;
  if (replica->turn) {
    replica->turn->batch.clear();
    replica->turn->items.clear();
  }
  for (std::size_t index = 0; index < sessions_.slots(); ++index) {
    Session* session = sessions_[index];
    Subscription* subscription = session == nullptr ? nullptr : session->find_replica(changed.follower);
    if (subscription == nullptr || session->closing || !subscription->counted) continue;
    const Handle connection{static_cast<std::uint32_t>(index), session->generation};
    outbound_.drop(connection, {replica->priority, changed.follower});
    if (subscription->last_seq() != 0) {  // what it was to get is no more, and the new state not for it
      end_told(connection, *session, *subscription, "revoked");
      replica = replicas_.get(changed.follower);
      if (replica == nullptr) return;
      continue;
    }
    subscription->needs.drop_extras();
    subscription->needs.set_next_seq(0);
    if (subscription->state == Subscription::State::live)
      go_behind(*session, replica->subscribers[subscription->place], *subscription, 0);
  }
}

void Sessions::handle(CatchUpResult&& result, const Time& now) {
  now_ms_ = now.unix_ms;
  load_under_way_ -= result.load;
  catch_up(std::move(result));
  serve_pages();
}

void Sessions::catch_up(CatchUpResult&& result) {
  Session* session = find(result.session);
  Subscription* subscription = session == nullptr ? nullptr : session->find(result.subscription);
  if (session == nullptr || session->closing) return;
  // Unsubscribed meanwhile; the others still wait for their turn.
  if (subscription == nullptr) return want_page(result.session, *session);
  Replica& replica = *replicas_.get(result.follower);
  // The batch holds nothing that the result lacks; whoever is live gets it before this one joins them.
  if (replica.turn) flush(result.follower, replica);
  subscription->fetching = false;
  // Asked for under another epoch.
  if (result.from_seq != subscription->needs.next_seq()) return want_page(result.session, *session);

  // What came behind its end is not for it, and so no state that has that.
  const std::uint64_t last_seq = subscription->last_seq();
  if (last_seq != 0)
    std::erase_if(result.items, [&](const CatchUpItem& item) { return item.last > last_seq; });
  Page page = render(result, replica, *subscription);
  const bool taken = hand_over(result.session, replica, *subscription, page);
  // What was refused would be asked for again otherwise.
  if (result.for_any && !result.at_end && is_like_others(*subscription) && (!taken || replica.behind > 1))
    keep(std::move(page));
  if (!taken) return outbound_.notify_when_drained(result.session);
  if (last_seq != 0 && result.next_seq > last_seq)
    return end_told(result.session, *session, *subscription, "revoked");

  subscription->needs.set_next_seq(result.next_seq);
  if (SubscriptionExtras* extras = subscription->needs.extras()) {
    if (extras->backlog) extras->backlog = result.backlog;
    std::erase_if(extras->own, [&](std::uint64_t seq) { return seq < result.next_seq; });
    if (is_like_others(*subscription)) subscription->needs.drop_extras();
  }
  if (result.at_end) {
    TIDEWIRE_CHECK(result.next_seq > replica.seq);
    no_longer_behind(*session, *subscription);
    subscription->state = Subscription::State::live;
    Subscriber& subscriber = replica.subscribers[subscription->place];
    subscriber.live = true;
    subscriber.ahead = result.next_seq > replica.seq + 1;
    if (subscription->presence_missed) {
      // What it missed is not in the log, so it gets the list anew, as the reply to `get` has it.
      subscription->presence_missed = false;
      ask_members(result.session, replica);
    }
  }
  if (session->behind > 0) outbound_.notify_when_drained(result.session);
}

// For checks: whether a connection that is behind will hear of it.
bool Sessions::is_served(Handle connection) const {
  const Session* found = session(connection);
  return found == nullptr || found->closing || found->behind == 0 || found->wants_page ||
         std::ranges::any_of(found->subscriptions, [](const Subscription& each) { return each.fetching; });
}

}  // namespace tidewire::hub
