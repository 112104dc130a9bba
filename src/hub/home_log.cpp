// Between a channel's home and its log (log/log.h): opening, commits in order, failures.

#include <algorithm>

#include "hub/home.h"

namespace tidewire::hub {

void Home::open_log(Handle handle, Channel& channel) {
  channel.durable = std::make_unique<DurableState>();
  submit_(
      log::Open{.channel = handle,
                .name = options_.tenants[channel.key.tenant] + "/" + channel.key.name,
                .epoch = channel.epoch,
                .retention = {.messages = channel.ns->history_messages, .ttl_ms = channel.ns->history_ttl_ms},
                .tail_messages = Channel::kCacheMessages,
                .tail_bytes = Channel::kCacheBytes});
}

void Home::handle(log::Outcome&& outcome, const Time& now) {
  std::visit([&](auto&& body) { on(std::move(body), now); }, std::move(outcome));
}

void Home::on(log::Opened&& opened, const Time& now) {
  Channel* channel = channels_.get(opened.channel);
  TIDEWIRE_CHECK(channel != nullptr);  // a channel that is being opened is not swept
  DurableState& durable = *channel->durable;
  channel->epoch = std::move(opened.epoch);
  channel->seq = durable.assigned = opened.last_seq;
  durable.first_seq = opened.first_seq;
  durable.state = DurableState::State::open;
  for (Entry& entry : opened.tail) channel->history.append(std::move(entry), channel->bounds());
  for (log::KeyUse& key : opened.keys) {
    if (!channel->keys) channel->keys = std::make_unique<IdempotencyWindow>();
    channel->keys->add(std::move(key.name), key.seq, key.until_ms);
  }
  std::vector<DurableState::Waiting> waiting;
  waiting.swap(durable.waiting);
  for (DurableState::Waiting& command : waiting) {
    std::visit(
        [&](auto&& body) {
          if constexpr (requires { handle(command.from, std::move(body), now); })
            handle(command.from, std::move(body), now);
        },
        std::move(command.command));
  }
}

void Home::on(log::Committed&& committed, const Time& now) {
  Channel* channel = channels_.get(committed.channel);
  TIDEWIRE_CHECK(channel != nullptr);  // a channel with messages under way is not swept
  DurableState& durable = *channel->durable;
  durable.first_seq = std::max(durable.first_seq, committed.first_seq);
  while (!durable.pending.empty() && durable.pending.front().entry.seq <= committed.last_seq) {
    PendingEntry pending = std::move(durable.pending.front());
    durable.pending.pop_front();
    commit(*channel, std::move(pending), now);
  }
}

void Home::on(log::Failed&& failed, const Time&) {
  Channel* channel = channels_.get(failed.channel);
  TIDEWIRE_CHECK(channel != nullptr);
  DurableState& durable = *channel->durable;
  switch (failed.what) {
    case log::Failed::What::open: {
      durable.state = DurableState::State::failed;
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
      answer(pending.asker, *channel, std::unexpected(failed.error));
      for (const PendingEntry::Asker& repeat : pending.repeats)
        answer(repeat, *channel, std::unexpected(failed.error));
      if (durable.pending.empty()) durable.assigned = channel->seq;
      return;
    }
    case log::Failed::What::read: {
      DurableState::Waiting waiting;
      waiting.command = take_read(durable, failed.number, waiting.from);
      refuse(std::move(waiting), failed.error);
    }
  }
}

void Home::read_log(Handle handle, Channel& channel, ShardId from, Message&& asker, std::uint64_t after,
                    std::uint64_t count) {
  DurableState& durable = *channel.durable;
  const std::uint64_t number = durable.next_number++;
  durable.reads.push_back({.number = number, .asker = {.from = from, .command = std::move(asker)}});
  submit_(log::Read{
      .channel = handle, .number = number, .after = after, .messages_max = count, .bytes_max = kReplayBytes});
}

Message Home::take_read(DurableState& durable, std::uint64_t number, ShardId& from) {
  const auto found = std::ranges::find(durable.reads, number, &DurableState::PendingRead::number);
  TIDEWIRE_CHECK(found != durable.reads.end());
  from = found->asker.from;
  Message command = std::move(found->asker.command);
  durable.reads.erase(found);
  return command;
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
  } else if (const auto* catch_up = std::get_if<CatchUpCommand>(&waiting.command)) {
    post_(to, SubscriptionLost{.follower = catch_up->follower,
                               .session = catch_up->session,
                               .subscription = catch_up->subscription,
                               .code = error.code});
  }
}

}  // namespace tidewire::hub
