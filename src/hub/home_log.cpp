// Between a channel's home and its log (log/log.h): opening, commits in order, failures.

#include <fmt/format.h>

#include <algorithm>

#include "hub/home.h"

namespace tidewire::hub {

namespace {
constexpr std::int64_t kRetryMs = 1000;
}

void Home::open_log(Handle handle, Channel& channel) {
  if (!channel.durable()) channel.more().durable = std::make_unique<DurableState>();
  channel.durable()->state = DurableState::State::opening;
  channel.durable()->retention = channel.retention();
  submit_(log::Open{.channel = handle,
                    .name = fmt::format("{}/{}", options_.tenants[channel.key.tenant], channel.key.name),
                    .epoch = channel.has_epoch ? random_.name() : channel.epoch,
                    .lazily = true,
                    // With entries it is in the log; where it is not, that epoch must not come again.
                    .known_epoch = channel.has_epoch && channel.seq == 0 ? channel.epoch : std::string(),
                    .retention = channel.retention(),
                    .tail_messages = Channel::kCacheMessages,
                    .tail_bytes = Channel::kCacheBytes});
}

// A reload may have changed how much is kept.
void Home::tell_retention(Handle handle, Channel& channel) {
  const log::Retention wanted = channel.retention();
  if (channel.durable()->retention == wanted) return;
  channel.durable()->retention = wanted;
  submit_(log::Retain{.channel = handle, .retention = wanted});
}

void Home::handle(log::Outcome&& outcome, const Time& now) {
  std::visit([&](auto&& body) { on(std::move(body), now); }, std::move(outcome));
}

void Home::on(log::Opened&& opened, const Time& now) {
  Channel* channel = channels_.get(opened.channel);
  TIDEWIRE_CHECK(channel != nullptr);  // a channel that is being opened is not swept
  DurableState& durable = *channel->durable();
  // Damage may have come to light since its followers were told where they are.
  const bool was_parked = std::exchange(durable.was_parked, false);
  const bool differs = opened.epoch != channel->epoch || (was_parked && opened.last_seq != channel->seq);
  if (differs && !channel->followers.empty()) begin_anew(*channel);
  channel->epoch = Epoch(opened.epoch);
  channel->has_epoch = true;
  channel->seq = durable.assigned = opened.last_seq;
  durable.first_seq = opened.first_seq;
  channel->more().history.clear();  // of before, where a failure made it be opened again
  for (Entry& entry : opened.tail) channel->more().history.append(std::move(entry), channel->bounds());
  channel->more().keys.reset();
  for (log::KeyUse& key : opened.keys) {
    channel->keys_wanted().add(std::move(key.name), key.seq, key.until_ms);
  }
  if (!channel->folded()) return finish_opening(opened.channel, now);
  Folded& folded = *channel->folded();
  folded.fold = make_fold(*channel);
  folded.mark = std::max(folded.mark, opened.mark);
  const bool restored = opened.snapshot && folded.fold->restore(opened.snapshot.view());
  folded.seq = folded.saved_seq = restored ? opened.snapshot_seq : 0;
  folded.saved_bytes = opened.snapshot.size();
  folded.unsaved_bytes = 0;
  folded.snapshot = {};
  if (folded.tellings) folded.tellings->told.clear();  // the seqs may be those of another epoch now
  fold_log(opened.channel, *channel, now);
}

// What was found damaged has been mended under another epoch: whoever follows gets the new state.
void Home::begin_anew(Channel& channel) {
  for (const Channel::Follower& follower : channel.followers)
    post_(follower.shard, EpochChanged{.follower = follower.replica});
  for (DurableState::Waiting& waiting : channel.durable()->waiting) {
    auto* command = std::get_if<CatchUpCommand>(&waiting.command);
    if (command == nullptr) continue;
    command->next_seq = 0;
    command->backlog.reset();
  }
}

// Folds what the saved state lacks, from the end that came along or page by page.
void Home::fold_log(Handle handle, Channel& channel, const Time& now) {
  Folded& folded = *channel.folded();
  while (folded.seq < channel.seq && channel.history().holds(folded.seq + 1)) {
    const Entry& entry = channel.history().at(++folded.seq);
    folded.unsaved_bytes += entry.body.size();
    folded.fold->replay(kinds::event_of(entry.body, entry.expires_ms));
  }
  if (folded.seq >= channel.seq) return finish_opening(handle, now);
  channel.durable()->folding_read = channel.durable()->next_number++;
  submit_(log::Read{.channel = handle,
                    .number = channel.durable()->folding_read,
                    .after = folded.seq,
                    .messages_max = kReplayMessages,
                    .bytes_max = kReplayBytes});
}

void Home::fold_page(Handle handle, Channel& channel, std::vector<Entry>&& entries, const Time& now) {
  Folded& folded = *channel.folded();
  channel.durable()->folding_read = 0;
  for (const Entry& entry : entries) {
    folded.seq = entry.seq;
    folded.unsaved_bytes += entry.body.size();
    folded.fold->replay(kinds::event_of(entry.body, entry.expires_ms));
  }
  // Where the log has less than it should, the state is what can be had.
  if (entries.empty()) folded.seq = channel.seq;
  fold_log(handle, channel, now);
}

void Home::finish_opening(Handle handle, const Time& now) {
  Channel& channel = *channels_.get(handle);
  DurableState& durable = *channel.durable();
  durable.state = DurableState::State::open;
  if (channel.folded()) {
    Folded& folded = *channel.folded();
    // (Under another epoch it may not reach as far.)
    folded.shown = folded.window ? std::min(folded.shown, channel.seq) : channel.seq;
    if (folded.window) refill_window(handle, channel);
    // A run's creator can't have come back before the server was there.
    if (const kinds::OwnedRun* run = channel.run())
      folded.idle_from_ms = std::min(std::max(run->last_event_ms(), started_ms_), now.unix_ms);
    watch_run(handle, channel);
  }
  std::vector<DurableState::Waiting> waiting;
  waiting.swap(durable.waiting);
  bool only_followed = true;
  for (DurableState::Waiting& command : waiting) {
    only_followed = only_followed && std::holds_alternative<SubscribeCommand>(command.command);
    std::visit(
        [&](auto&& body) {
          if constexpr (requires { this->handle(command.from, std::move(body), now); })
            this->handle(command.from, std::move(body), now);
        },
        std::move(command.command));
  }
  // At once, so that many who connect together don't need the memory together.
  if (only_followed && may_park(channel, now)) park(handle, channel);
}

void Home::on(log::Committed&& committed, const Time& now) {
  Channel* channel = channels_.get(committed.channel);
  TIDEWIRE_CHECK(channel != nullptr);  // a channel with messages under way is not swept
  DurableState& durable = *channel->durable();
  durable.first_seq = std::max(durable.first_seq, committed.first_seq);
  while (!durable.pending.empty() && durable.pending.front().entry.seq <= committed.last_seq) {
    PendingEntry pending = std::move(durable.pending.front());
    durable.pending.pop_front();
    commit(committed.channel, *channel, std::move(pending), now);
  }
}

void Home::on(log::Failed&& failed, const Time& now) {
  if (failed.what == log::Failed::What::list) return fail_list(failed.number, failed.error);
  Channel* channel = channels_.get(failed.channel);
  if (channel == nullptr && failed.what == log::Failed::What::read) return;  // of before it was closed
  TIDEWIRE_CHECK(channel != nullptr);
  DurableState& durable = *channel->durable();
  switch (failed.what) {
    case log::Failed::What::open: {
      durable.state = DurableState::State::failed;
      durable.retry_at_ms = now.mono_ms() + kRetryMs;
      for (DurableState::Waiting& waiting : std::exchange(durable.waiting, {}))
        refuse(std::move(waiting), failed.error);
      return;
    }
    case log::Failed::What::append: {
      // Its followers in the queue fail one by one, since their numbers no longer fit. When all are
      // through, numbering goes on behind what was committed: a seq is never skipped.
      TIDEWIRE_CHECK(!durable.pending.empty() && durable.pending.front().number == failed.number);
      const PendingEntry pending = std::move(durable.pending.front());
      durable.pending.pop_front();
      if (!pending.key.empty()) channel->keys()->give_up(pending.key);
      answer(pending, *channel, &failed.error);
      if (!durable.pending.empty()) return;
      durable.assigned = channel->seq;
      if (!channel->folded()) return;
      // The state has what will never be; the log knows how it was. What is being read meanwhile is asked
      // for again once it is open: it may have another epoch then.
      for (DurableState::PendingRead& read : std::exchange(durable.reads, {}))
        durable.waiting.push_back(std::move(read.asker));
      submit_(log::Close{.channel = failed.channel});
      open_log(failed.channel, *channel);
      return;
    }
    case log::Failed::What::read: {
      if (failed.number == durable.folding_read) {
        durable.folding_read = 0;
        submit_(log::Close{.channel = failed.channel});
        failed.what = log::Failed::What::open;
        return on(std::move(failed), now);
      }
      if (auto waiting = take_read(durable, failed.number)) refuse(std::move(*waiting), failed.error);
      return;
    }
    case log::Failed::What::list:
      return;  // of no channel, see above
  }
}

void Home::read_log(Handle handle, Channel& channel, ShardId from, Message&& asker, std::uint64_t after,
                    std::uint64_t count, std::size_t bytes_max) {
  DurableState& durable = *channel.durable();
  const std::uint64_t number = durable.next_number++;
  durable.reads.push_back({.number = number, .asker = {.from = from, .command = std::move(asker)}});
  // What is safe needs no waiting for what is under way.
  submit_(log::Read{.channel = handle,
                    .number = number,
                    .after = after,
                    .up_to = channel.seq,
                    .messages_max = count,
                    .bytes_max = bytes_max});
}

// Who asked for it; nobody where the channel was closed and opened again since.
std::optional<DurableState::Waiting> Home::take_read(DurableState& durable, std::uint64_t number) {
  const auto found = std::ranges::find(durable.reads, number, &DurableState::PendingRead::number);
  if (found == durable.reads.end()) return std::nullopt;
  DurableState::Waiting asker = std::move(found->asker);
  durable.reads.erase(found);
  return asker;
}

// A command that the log can't serve.
void Home::refuse(DurableState::Waiting&& waiting, const Error& error) {
  const ShardId to = waiting.from;
  if (auto* subscribe = std::get_if<SubscribeCommand>(&waiting.command)) {
    post_(to, SubscribeResult{.reply = subscribe->reply,
                              .channel = std::move(subscribe->channel),
                              .follower = subscribe->follower,
                              .subscription = subscribe->subscription,
                              .again = subscribe->again,
                              .result = std::unexpected(error)});
  } else if (auto* publish = std::get_if<PublishCommand>(&waiting.command)) {
    post_(to, PublishResult{.reply = publish->reply,
                            .channel = std::move(publish->channel),
                            .result = std::unexpected(error)});
  } else if (auto* history = std::get_if<HistoryCommand>(&waiting.command)) {
    post_(to, HistoryResult{.reply = history->reply,
                            .channel = std::move(history->channel),
                            .result = std::unexpected(error)});
  } else if (auto* presence = std::get_if<PresenceCommand>(&waiting.command)) {
    // To leave is to ask for nothing.
    Channel* channel = find(presence->channel);
    if (channel != nullptr && presence->action == protocol::PresenceAction::leave)
      leave_presence(*channel, *presence->author, presence->session, to);
    post_(to, PresenceResult{.reply = presence->reply,
                             .channel = std::move(presence->channel),
                             .result = std::unexpected(error)});
  } else if (auto* ack = std::get_if<AckCommand>(&waiting.command)) {
    post_(to, AckResult{
                  .reply = ack->reply, .channel = std::move(ack->channel), .result = std::unexpected(error)});
  } else if (auto* snapshot = std::get_if<SnapshotCommand>(&waiting.command)) {
    post_(to, SnapshotResult{.reply = snapshot->reply,
                             .channel = std::move(snapshot->channel),
                             .result = std::unexpected(error)});
  } else if (auto* unsubscribe = std::get_if<UnsubscribeCommand>(&waiting.command)) {
    unsubscribe->lacks_from = 0;
    unfollow(to, channels_.find(unsubscribe->channel), *unsubscribe);
  } else if (const auto* departs = std::get_if<DepartCommand>(&waiting.command)) {
    if (Channel* channel = find(departs->channel)) leave_presence(*channel, *departs->author, {}, to);
  } else if (const auto* review = std::get_if<ReviewCommand>(&waiting.command)) {
    Channel* channel = find(review->channel);
    if (channel != nullptr && review->entered) leave_presence(*channel, *review->entered, {}, to);
  } else if (const auto* info = std::get_if<ChannelInfoCommand>(&waiting.command)) {
    post_(to, ChannelInfoResult{.reply = info->reply, .result = std::unexpected(error)});
  } else if (const auto* catch_up = std::get_if<CatchUpCommand>(&waiting.command)) {
    post_(to, SubscriptionLost{.follower = catch_up->follower,
                               .session = catch_up->session,
                               .subscription = catch_up->subscription,
                               .code = name_of(error.code),
                               .load = catch_up->load});
  }
}

}  // namespace tidewire::hub
