#include "hub/home.h"

#include <algorithm>
#include <utility>

#include "base/json_text.h"
#include "protocol/channel_name.h"

namespace tidewire::hub {

namespace {

// A tick looks at so many channels: a million are swept within a few minutes, and a turn stays short.
constexpr std::uint32_t kSweepPerTick = 500;

}  // namespace

Home::Home(HomeOptions options, const Namespaces& namespaces, std::uint64_t seed, Post post, Submit submit)
    : options_(std::move(options)),
      namespaces_(namespaces),
      random_(seed),
      post_(std::move(post)),
      submit_(std::move(submit)),
      channels_(ChannelKeyHash{options_.hash_seed}),
      inbox_options_(std::make_shared<kinds::InboxOptions>(options_.inbox)) {}

void Home::reload(HomeOptions options) {
  options_ = std::move(options);
  *inbox_options_ = options_.inbox;
  review_runs();
}

Channel* Home::find(const ChannelKey& key) { return channels_.get(channels_.find(key)); }

Channel& Home::open(const ChannelKey& key, const Time& now, Handle* handle) {
  note_start(now);
  Handle found = channels_.find(key);
  if (!found) {
    const Namespace* ns = namespaces_.find(protocol::namespace_of(key.name));
    if (ns == nullptr) ns = namespaces_.find_retired(protocol::namespace_of(key.name));
    TIDEWIRE_CHECK(ns != nullptr);  // the session's checks come first, and namespaces never vanish
    if (key.tenant >= sizes_.size()) sizes_.resize(key.tenant + std::size_t{1});
    ++sizes_[key.tenant];
    found = channels_.emplace(key, *ns, random_.name(), now.mono_ms());
    begin(found, *channels_.get(found));
  }
  if (handle != nullptr) *handle = found;
  Channel& channel = *channels_.get(found);
  if (channel.parked) begin(found, channel);
  channel.last_used_ms = now.mono_ms();
  return channel;
}

// Makes what its kind and its log need, for a new channel and for one that was parked.
void Home::begin(Handle handle, Channel& channel) {
  if (channel.kind != Kind::stream) {
    channel.more().folded = std::make_unique<Folded>();
    channel.folded()->fold = make_fold(channel);
  }
  const bool was_parked = std::exchange(channel.parked, false);
  if (was_parked) --parked_;
  if (!was_parked && channel.ns->durability != Durability::disk) return;
  open_log(handle, channel);
  channel.durable()->was_parked = was_parked;
}

// Nothing waits in it, nothing is under way, and all that it knows stands in the log.
bool Home::may_park(const Channel& channel, const Time& now) {
  if (channel.kind != Kind::inbox || channel.parked || channel.presence()) return false;
  if (!channel.durable() || channel.durable()->state != DurableState::State::open ||
      channel.durable()->busy())
    return false;
  const auto& inbox = static_cast<const kinds::Inbox&>(*channel.folded()->fold);
  return inbox.size(now.unix_ms) == 0;
}

// Most users' inboxes are empty most of the time, and each connected user follows one. So an empty inbox
// keeps its name, its position and its followers; open() builds the rest again from the log.
void Home::park(Handle handle, Channel& channel) {
  if (channel.folded()->saved_seq < channel.seq) save_state(handle, channel, Save::now);
  submit_(log::Close{.channel = handle});
  channel.extras.reset();
  channel.parked = true;
  ++parked_;
}

Channel::Follower& Home::follower_of(Channel& channel, ShardId shard, Handle replica) {
  for (Channel::Follower& follower : channel.followers)
    if (follower.shard == shard && follower.replica == replica) return follower;
  return channel.followers.push_back({.shard = shard, .replica = replica});
}

// Where a new subscription begins (protocol §5, `subscribed`).
void Home::start_position(const SubscribeCommand& command, const Channel& channel, const Time& now,
                          SubscribedState& state) {
  const History& history = channel.history();
  const std::uint64_t retained = channel.first_seq();
  state.next_seq = channel.seq + 1;
  if (command.since) {
    const Position& since = *command.since;
    if (since.epoch != channel.epoch)
      state.reason = "epoch";
    else if (since.seq > channel.seq)
      state.reason = "ahead";
    else if (since.seq + 1 < retained)
      state.reason = "trimmed";
    state.recovered = state.reason.empty();
    // Where there is a snapshot it is the new start.
    if (*state.recovered)
      state.next_seq = since.seq + 1;
    else if (!channel.folded())
      state.next_seq = retained;
  } else if (command.history && *command.history > 0 && channel.kind != Kind::inbox) {
    // (What is pending in an inbox comes as its backlog, and would come twice.)
    // What the cache does not reach is counted by seq; only entries with a time to live make that less.
    std::uint64_t missing = *command.history;
    const std::uint64_t start = history.start_of_last(missing, now.unix_ms);
    const bool reached = !history.empty() && (missing == 0 || history.first_seq() <= retained);
    const std::uint64_t by_seq = channel.seq + 1 - std::min(channel.seq, *command.history);
    state.next_seq = std::max(retained, reached ? start : by_seq);
  }
  if (state.next_seq > channel.seq || !history.holds(state.next_seq)) return;

  // What fits goes into the reply; more, or a range with a hole, follows it as messages.
  std::vector<CatchUpItem> items;
  std::uint64_t next = state.next_seq;
  const bool all = history.read(next, now.unix_ms, kReplayMessages, kReplayBytes, items);
  std::size_t bytes = 0;
  for (const CatchUpItem& item : items) bytes += item.body.size();
  const bool has_hole =
      std::ranges::any_of(items, [](const CatchUpItem& item) { return item.kind == CatchUpItem::Kind::gap; });
  if (!all || has_hole || bytes > kReplayBytes) return;
  for (CatchUpItem& item : items) state.messages.push_back(std::move(item.body));
  state.next_seq = channel.seq + 1;
}

void Home::handle(ShardId from, SubscribeCommand&& command, const Time& now) {
  Handle handle;
  Channel& channel = open(command.channel, now, &handle);
  if (wait_for_log(handle, channel, from, command, now)) return;
  if (!channel.folded()) return begin_subscription(from, std::move(command), handle, {}, now);
  Error refusal;
  const bool refused = !may_read(channel, command.author, command.rights);
  if (refused) refusal = fail(ErrorCode::forbidden, "this channel belongs to others").error();
  const SharedBytes snapshot =
      !refused && command.snapshot && !command.automatic ? snapshot_of(channel, now) : SharedBytes();
  settle(channel, [=, this, command = std::move(command)](const Error* error) mutable {
    if (refused || error != nullptr)
      return refuse({.from = from, .command = std::move(command)}, refused ? refusal : *error);
    begin_subscription(from, std::move(command), handle, snapshot, now);
  });
}

void Home::begin_subscription(ShardId from, SubscribeCommand&& command, Handle handle, SharedBytes snapshot,
                              const Time& now) {
  Channel& channel = *channels_.get(handle);
  channel.trim(now.unix_ms);
  channel.used = true;
  if (!command.again) ++follower_of(channel, from, command.follower).subscribers;

  SubscribedState state{.home = handle,
                        .epoch = channel.epoch,
                        .kind = channel.kind,
                        .seq = channel.seq,
                        .next_seq = channel.seq + 1,
                        .recovered = {},
                        .reason = {},
                        .messages = {},
                        .members = {},
                        .shown = channel.shown()};
  if (!command.again) start_position(command, channel, now, state);
  if (!state.recovered.value_or(false)) state.snapshot = std::move(snapshot);
  if (command.presence) state.members = channel.presence() ? channel.presence()->members_json() : "[]";
  if (channel.kind == Kind::session && !command.again)
    channel.folded()->readers.push_back({.shard = from,
                                         .follower = command.follower,
                                         .session = command.reply.target,
                                         .subscription = command.subscription,
                                         .user_id = command.author ? command.author->user_id : std::string(),
                                         .since = channel.seq,
                                         .by_right = command.rights.subscribe});
  if (channel.kind == Kind::inbox && !command.again && !command.since)
    state.backlog = start_backlog(handle, channel, now);
  else if (channel.folded() && channel.merges() && state.snapshot && state.next_seq <= state.seq)
    state.backlog = Backlog{.after = {}, .up_to = state.seq, .sent_up_to = 0};
  post_(from, SubscribeResult{.reply = command.reply,
                              .channel = std::move(command.channel),
                              .follower = command.follower,
                              .subscription = command.subscription,
                              .again = command.again,
                              .result = std::move(state)});
}

void Home::handle(ShardId from, UnsubscribeCommand&& command, const Time& now) {
  const Handle handle = channels_.find(command.channel);
  Channel* channel = channels_.get(handle);
  TIDEWIRE_CHECK(channel != nullptr);  // followed channels are not swept
  channel->last_used_ms = now.mono_ms();
  // Who its members were is not known while the state is built anew.
  if (command.lacks_from != 0 && wait_for_log(handle, *channel, from, command, now)) return;
  unfollow(from, handle, command);
  // All that it was is in the log.
  if (channel->parked && channel->followers.empty()) sweep(handle, *channel, now);
}

void Home::unfollow(ShardId from, Handle handle, const UnsubscribeCommand& command) {
  Channel& channel = *channels_.get(handle);
  if (channel.kind == Kind::session) remove_reader(from, handle, channel, command);
  Channel::Follower& follower = follower_of(channel, from, command.follower);
  TIDEWIRE_CHECK(follower.subscribers > 0);
  if (--follower.subscribers > 0) return;
  follower = channel.followers.back();
  channel.followers.pop_back();
}

void Home::handle(ShardId from, PresenceCommand&& command, const Time& now) {
  Handle handle;
  Channel& channel = open(command.channel, now, &handle);
  if (!channel.folded()) return carry_out(from, handle, std::move(command), true, now);
  // Whose channel it is stands in the log, and may yet be on its way there.
  if (wait_for_log(handle, channel, from, command, now)) return;
  const bool may_list = may_read(channel, command.author, command.rights);
  if (command.rights.subscribe) return carry_out(from, handle, std::move(command), may_list, now);
  settle(channel, [=, this, command = std::move(command)](const Error* error) mutable {
    if (error != nullptr) return refuse({.from = from, .command = std::move(command)}, *error);
    if (may_list || command.action == protocol::PresenceAction::leave)
      return carry_out(from, handle, std::move(command), may_list, now);
    refuse({.from = from, .command = std::move(command)},
           fail(ErrorCode::forbidden, "this channel belongs to others").error());
  });
}

void Home::carry_out(ShardId from, Handle handle, PresenceCommand&& command, bool may_list, const Time& now) {
  using enum protocol::PresenceAction;
  Channel& channel = *channels_.get(handle);
  const bool says_data = command.action == enter || command.action == update;
  if (says_data && channel.presence() && !channel.presence()->fits(*command.author, command.data))
    return refuse(
        {.from = from, .command = std::move(command)},
        fail(ErrorCode::too_large, "the members of this channel say too much of themselves").error());
  Presence::Outcome outcome;
  if (command.action == enter) {
    channel.used = true;
    if (!channel.presence()) channel.more().presence = std::make_unique<Presence>();
    outcome = channel.presence()->enter(*command.author, command.data, now.unix_ms, command.rights.subscribe);
  } else if (command.action == update) {
    auto updated =
        channel.presence() ? channel.presence()->update(*command.author, command.data) : std::nullopt;
    if (!updated) {
      post_(from,
            PresenceResult{.reply = command.reply,
                           .channel = std::move(command.channel),
                           .result = fail(ErrorCode::invalid_event, "this connection has not entered")});
      return;
    }
    outcome = std::move(*updated);
  } else if (command.action == leave && channel.presence()) {
    outcome = channel.presence()->leave(*command.author);
  }
  post_(from,
        PresenceResult{.reply = command.reply,
                       .channel = std::move(command.channel),
                       .result = channel.presence() && may_list ? channel.presence()->members_json() : "[]"});
  tell_presence(channel, outcome, command.session, from);
  if (channel.presence() && channel.presence()->empty()) channel.more().presence.reset();
}

void Home::handle(ShardId from, DepartCommand&& command, const Time& now) {
  const Handle handle = channels_.find(command.channel);
  if (!handle) return;
  Channel& channel = *channels_.get(handle);
  if (!channel.folded()) return depart(handle, *command.author, now);
  // Behind its `enter`, which may be waiting.
  if (channel.durable() && channel.durable()->state == DurableState::State::opening)
    return channel.durable()->waiting.push_back({.from = from, .command = std::move(command)});
  settle(channel, [this, handle, command = std::move(command), now](const Error*) {
    depart(handle, *command.author, now);
  });
}

void Home::depart(Handle handle, const Author& author, const Time& now) {
  Channel& channel = *channels_.get(handle);
  if (!channel.presence()) return;
  const auto leaves_at = channel.presence()->depart(author, now.unix_ms, options_.presence_grace_ms);
  if (leaves_at) graces_.push({{*leaves_at, handle}, author.scope});
}

void Home::tell_presence(const Channel& channel, const Presence::Outcome& outcome, Handle skip,
                         ShardId skip_shard) {
  if (outcome.change == Presence::Change::none) return;
  static constexpr std::string_view kActions[] = {"", "enter", "update", "leave"};
  std::string json = "{\"type\":\"presence_event\",\"channel\":";
  append_json_string(json, channel.key.name);
  json += ",\"action\":\"";
  json += kActions[static_cast<std::size_t>(outcome.change)];
  json += "\",\"member\":";
  json += outcome.member;
  json += '}';
  const SharedBytes shared(json);
  for (const Channel::Follower& follower : channel.followers)
    post_(follower.shard, PresenceDelivery{.follower = follower.replica,
                                           .json = shared,
                                           .skip = follower.shard == skip_shard ? skip : Handle{}});
}

void Home::tick(const Time& now) {
  while (!graces_.empty() && graces_.top().at_ms <= now.unix_ms) {
    const Grace grace = graces_.top();
    graces_.pop();
    Channel* channel = channels_.get(grace.channel);
    if (channel == nullptr || !channel->presence()) continue;
    tell_presence(*channel, channel->presence()->expire(grace.scope, now.unix_ms), {}, 0);
    if (channel->presence()->empty()) channel->more().presence.reset();
  }
  note_start(now);
  find_runs();
  check_runs(now);
  const std::uint32_t slots = channels_.slots();
  for (std::uint32_t i = 0; i < std::min(kSweepPerTick, slots); ++i) {
    sweep_at_ = sweep_at_ + 1 < slots ? sweep_at_ + 1 : 0;
    const Handle handle = channels_.handle_at(sweep_at_);
    if (handle) sweep(handle, *channels_.get(handle), now);
  }
}

void Home::sweep(Handle handle, Channel& channel, const Time& now) {
  channel.trim(now.unix_ms);
  if (channel.keys()) {
    channel.keys()->expire(now.unix_ms);
    if (channel.keys()->empty()) channel.more().keys.reset();
  }
  if (channel.extras && channel.extras->empty()) channel.extras.reset();
  if (channel.durable() && channel.durable()->state == DurableState::State::open)
    tell_retention(handle, channel);
  if (channel.last_used_ms + kParkMs <= now.mono_ms() && may_park(channel, now)) park(handle, channel);
  // Its followers' going counts as a use (`unsubscribe` above); what else keeps it is looked at here.
  if (channel.presence() || (channel.durable() && channel.durable()->busy()) ||
      (channel.folded() && (channel.folded()->run_check.scheduled || channel.folded()->is_telling())))
    channel.last_used_ms = now.mono_ms();
  if (!channel.followers.empty()) return;
  const bool only_copy = !channel.durable() && (!channel.history().empty() || channel.keys());
  const std::int64_t idle_ms = channel.inbox_bytes() > kLargeInboxBytes ? kParkMs : kIdleMs;
  if (!channel.parked && (only_copy || channel.last_used_ms + idle_ms > now.mono_ms())) return;
  if (channel.durable() && channel.durable()->state == DurableState::State::open) {
    if (channel.folded() && channel.folded()->saved_seq < channel.seq) save_state(handle, channel, Save::now);
    submit_(log::Close{.channel = handle});
  }
  if (channel.parked) --parked_;
  --sizes_[channels_.get(handle)->key.tenant];
  channels_.erase(handle);
}

}  // namespace tidewire::hub
