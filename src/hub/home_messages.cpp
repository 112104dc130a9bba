// Messages at their channel's home: numbered, made safe, kept, shown; and read again.

#include <algorithm>

#include "base/json_text.h"
#include "hub/home.h"
#include "hub/publish.h"
#include "kinds/session.h"

namespace tidewire::hub {

namespace {
constexpr std::uint64_t kHistoryPageMax = 1000;

// What a stream has lost at its old end is a gap for whoever still needs it.
void add_trimmed(const Channel& channel, std::uint64_t& next, std::vector<CatchUpItem>& items) {
  if (next >= channel.first_seq()) return;
  items.push_back(
      {.first = next, .last = channel.first_seq() - 1, .body = {}, .kind = CatchUpItem::Kind::gap});
  next = channel.first_seq();
}

// Entries as catch-up items from `next` on; what is missing between is a gap.
std::vector<CatchUpItem> items_of(std::vector<Entry>&& entries, std::uint64_t& next, std::int64_t now_ms) {
  std::vector<CatchUpItem> items;
  const auto gap = [&](std::uint64_t last) {
    if (!items.empty() && items.back().kind == CatchUpItem::Kind::gap)
      items.back().last = last;
    else
      items.push_back({.first = next, .last = last, .body = {}, .kind = CatchUpItem::Kind::gap});
  };
  for (Entry& entry : entries) {
    if (entry.seq < next) continue;
    if (entry.seq > next) gap(entry.seq - 1);
    next = entry.seq;
    if (entry.expired(now_ms))
      gap(entry.seq);
    else
      items.push_back({.first = entry.seq,
                       .last = entry.seq,
                       .body = std::move(entry.body),
                       .expires_ms = entry.expires_ms});
    ++next;
  }
  return items;
}

std::size_t page_messages(const Channel& channel, const CatchUpCommand& command, std::uint64_t next) {
  if (!channel.folded()) return Home::kReplayMessages - (next - 1) % Home::kReplayMessages;
  // What is merged stands either for what the reader's snapshot has, or for what it has not.
  if (command.backlog && next <= command.backlog->up_to)
    return std::min<std::uint64_t>(Home::kReplayMessages, command.backlog->up_to + 1 - next);
  return Home::kReplayMessages;
}

// `if_seq`, the kind, the content, in the order of protocol §3.
std::optional<Error> objection_to(const PublishCommand& command, const kinds::Event& event,
                                  const kinds::Asker& asker, const Channel& channel) {
  if (channel.kind == Kind::document && command.if_seq && *command.if_seq != channel.assigned()) {
    Error conflict = fail(ErrorCode::conflict, "the document has changed").error();
    conflict.seq = channel.assigned();
    return conflict;
  }
  if (command.refusal) return command.refusal;
  if (!command.rejected) return std::nullopt;
  // What the kind refuses comes before the content.
  if (channel.folded())
    if (auto judged = channel.folded()->fold->judge(event, asker); !judged) return std::move(judged.error());
  return content_rejected(*command.rejected);
}
}  // namespace

void Home::handle(ShardId from, PublishCommand&& command, const Time& now) {
  Handle handle;
  Channel& channel = open(command.channel, now, &handle);
  if (wait_for_log(handle, channel, from, command, now)) return;

  PendingEntry pending = entry_of(from, command, channel, now);
  // The checks of protocol §3 in their order, from access on.
  kinds::Asker asker;
  if (channel.folded()) {
    adopt_settings(channel);
    asker = asker_of(command.author, command.rights);
    pending.event = kinds::event_of(pending.entry.body, pending.entry.expires_ms);
    if (const auto admitted = channel.folded()->fold->admit(pending.event, asker); !admitted)
      return refuse_settled(handle, channel, pending.asker, admitted.error());
  }
  channel.used = true;
  if (!command.key.empty()) {
    pending.key = IdempotencyWindow::joined(command.author->scope, command.key);
    if (answer_repeat(handle, channel, pending, now)) return;
  }
  if (auto objection = objection_to(command, pending.event, asker, channel))
    return refuse_settled(handle, channel, pending.asker, *std::move(objection));
  if (channel.kind == Kind::session && kinds::SessionChannel::is_message(pending.event) && !may_tell(channel))
    return answer(pending.asker, channel, std::unexpected(overload_error()));
  if (channel.folded()) {
    const auto taken = channel.folded()->fold->take(pending.event, asker);
    if (!taken) return refuse_settled(handle, channel, pending.asker, taken.error());
    if (taken->dropped) return answer_dropped(handle, channel, pending.asker);
  }
  if (command.ephemeral) {
    deliver(channel, 0, 0, pending.entry.body, command.skip, from);
    return answer(pending.asker, channel, Published{.epoch = channel.epoch, .seq = 0});
  }
  append(handle, channel, std::move(pending), now);
}

PendingEntry Home::entry_of(ShardId from, const PublishCommand& command, const Channel& channel,
                            const Time& now) {
  PendingEntry pending;
  pending.asker = {.shard = from, .reply = command.reply};
  pending.skip = command.skip;
  pending.entry.timestamp_ms = now.unix_ms;
  if (command.ttl_ms != 0) pending.entry.expires_ms = now.unix_ms + command.ttl_ms;
  if (!command.ephemeral) pending.entry.seq = channel.assigned() + 1;
  pending.entry.body = SharedBytes(head_of(pending.entry), command.tail.view());
  return pending;
}

std::string Home::head_of(const Entry& entry) {
  std::string head;
  if (entry.seq != 0) {
    head = "\"seq\":";
    append_json_int(head, entry.seq);
    head += ',';
  }
  head += "\"timestamp\":";
  append_json_int(head, entry.timestamp_ms);
  head += ',';
  return head;
}

// True when the key has been used: answered as then, or to be answered with the entry that is under way.
bool Home::answer_repeat(Handle handle, Channel& channel, const PendingEntry& pending, const Time& now) {
  if (!channel.keys()) return false;
  if (const auto seq = channel.keys()->find(pending.key, now.unix_ms)) {
    if (channel.kind != Kind::session || !tell_again(handle, channel, *seq, pending.asker))
      answer(pending.asker, channel, Published{.epoch = channel.epoch, .seq = *seq, .duplicate = true});
    return true;
  }
  const auto expected = channel.keys()->expected(pending.key);
  if (!expected) return false;
  Ring<PendingEntry>& waiting = channel.durable()->pending;  // whose seqs are consecutive
  waiting[*expected - waiting.front().entry.seq].repeats.push_back(pending.asker);
  return true;
}

// What is refused for the state's sake rests on entries that may still be under way.
void Home::refuse_settled(Handle handle, Channel& channel, const PendingEntry::Asker& asked, Error why) {
  settle(channel, [this, handle, asked, why = std::move(why)](const Error* error) {
    answer(asked, *channels_.get(handle), std::unexpected(error != nullptr ? *error : why));
  });
}

// An inbox was full of more important entries; whether it was may rest on entries that are under way.
void Home::answer_dropped(Handle handle, Channel& channel, const PendingEntry::Asker& asked) {
  settle(channel, [this, handle, asked](const Error* error) {
    const Channel& there = *channels_.get(handle);
    if (error != nullptr) return answer(asked, there, std::unexpected(*error));
    answer(asked, there, Published{.epoch = there.epoch, .dropped = true});
  });
}

// Numbers are given and the kind has taken it: commit, then show.
void Home::append(Handle handle, Channel& channel, PendingEntry&& pending, const Time& now) {
  if (channel.folded()) {
    Folded& folded = *channel.folded();
    folded.seq = pending.entry.seq;
    folded.unsaved_bytes += pending.entry.body.size();
    folded.snapshot = {};
  }
  if (!channel.durable()) return commit(handle, channel, std::move(pending), now);

  // Until the log has it, nobody hears of it.
  DurableState& durable = *channel.durable();
  durable.assigned = pending.entry.seq;
  pending.number = durable.next_number++;
  log::Append append{.channel = handle, .number = pending.number, .entries = {pending.entry}, .keys = {}};
  if (!pending.key.empty()) {
    channel.keys_wanted().expect(pending.key, pending.entry.seq);
    append.keys.push_back({.name = pending.key,
                           .seq = pending.entry.seq,
                           .until_ms = now.unix_ms + options_.idempotency_window_ms});
  }
  if (channel.kind == Kind::inbox) {
    Folded& folded = *channel.folded();
    const std::uint64_t oldest = static_cast<const kinds::Inbox&>(*folded.fold).oldest_seq();
    append.keep_from = oldest == 0 ? pending.entry.seq + 1 : oldest;
    // Whoever follows gets it as soon as it is safe.
    if (!channel.followers.empty()) append.mark = folded.mark = pending.entry.seq;
  }
  if (const kinds::OwnedRun* run = channel.run()) append.under_way = !run->ended() && !run->creator().empty();
  durable.pending.push_back(std::move(pending));
  submit_(std::move(append));
  if (channel.folded()) save_state(handle, channel, Save::when_worth_it);
}

// The message is as safe as its namespace promises: it counts, is kept, is shown and answered.
void Home::commit(Handle handle, Channel& channel, PendingEntry&& pending, const Time& now) {
  channel.seq = pending.entry.seq;
  channel.more().history.append(pending.entry, channel.bounds());
  if (!pending.key.empty())
    channel.keys_wanted().add(std::move(pending.key), channel.seq,
                              now.unix_ms + options_.idempotency_window_ms);
  show(handle, channel, pending, now);
  if (channel.kind == Kind::session &&
      tell_absent(handle, channel, pending.event,
                  {.seq = channel.seq, .published = {pending.asker}, .duplicate = pending.repeats}))
    for (const auto& then : pending.held) then(nullptr);
  else
    answer(pending, channel, nullptr);
  if (channel.folded()) after_event(handle, channel, pending, now);
}

void Home::answer(const PendingEntry::Asker& asker, const Channel& channel, Result<Published> result) {
  if (asker.reply.kind == ReplyTo::Kind::nobody) return;
  post_(asker.shard,
        PublishResult{.reply = asker.reply, .channel = channel.key, .result = std::move(result)});
}

// Everybody who waits for this entry: it is safe, or never will be.
void Home::answer(const PendingEntry& pending, const Channel& channel, const Error* error) {
  if (pending.acked) {
    AckResult result{.reply = pending.asker.reply, .channel = channel.key, .result = *pending.acked};
    if (error != nullptr) result.result = std::unexpected(*error);
    post_(pending.asker.shard, std::move(result));
  } else if (error != nullptr) {
    answer(pending.asker, channel, std::unexpected(*error));
  } else {
    answer(pending.asker, channel, Published{.epoch = channel.epoch, .seq = pending.entry.seq});
  }
  for (const PendingEntry::Asker& repeat : pending.repeats) {
    if (error != nullptr)
      answer(repeat, channel, std::unexpected(*error));
    else
      answer(repeat, channel, Published{.epoch = channel.epoch, .seq = pending.entry.seq, .duplicate = true});
  }
  for (const auto& then : pending.held) then(error);
}

void Home::deliver(const Channel& channel, std::uint64_t first_seq, std::uint64_t seq,
                   const SharedBytes& body, Handle skip, ShardId skip_shard) {
  for (const Channel::Follower& follower : channel.followers)
    post_(follower.shard, Delivery{.follower = follower.replica,
                                   .first_seq = first_seq,
                                   .seq = seq,
                                   .body = body,
                                   .skip = follower.shard == skip_shard ? skip : Handle{}});
}

void Home::handle(ShardId from, HistoryCommand&& command, const Time& now) {
  // A channel that was never used has an empty history, and an epoch once somebody asks for it.
  Handle handle;
  Channel& channel = open(command.channel, now, &handle);
  if (wait_for_log(handle, channel, from, command, now)) return;
  channel.trim(now.unix_ms);
  if (!may_read(channel, command.author, command.rights))
    return answer_history(from, std::move(command), channel,
                          fail(ErrorCode::forbidden, "this channel belongs to others"));
  if (command.epoch && *command.epoch != channel.epoch) {
    Error error{.code = ErrorCode::conflict,
                .message = "the channel has another epoch now",
                .seq = channel.seq,
                .rule = {}};
    return answer_history(from, std::move(command), channel, std::unexpected(std::move(error)));
  }
  command.limit = std::min(command.limit, kHistoryPageMax);
  const bool newest = !command.after.has_value();
  const std::uint64_t before = std::min(command.before.value_or(~std::uint64_t{0}), channel.seq + 1);
  const std::uint64_t oldest_asked = newest ? before - std::min(before, command.limit) : *command.after + 1;
  const std::uint64_t low = std::max({oldest_asked, channel.first_seq(), std::uint64_t{1}});
  if (channel.durable() && low < before && command.limit > 0 && !channel.history().holds(low)) {
    const std::uint64_t count = std::min(command.limit, before - low);
    command.before = before;  // what comes while it is read is not part of it
    return read_log(handle, channel, from, std::move(command), low - 1, count, History::kPageBytes);
  }
  std::vector<SharedBytes> page =
      channel.history().page(command.after.value_or(0), before, command.limit, newest, now.unix_ms);
  answer_history(from, std::move(command), channel, std::move(page));
}

void Home::answer_history(ShardId to, HistoryCommand&& command, const Channel& channel,
                          Result<std::vector<SharedBytes>> page) {
  HistoryResult answer{
      .reply = command.reply, .channel = std::move(command.channel), .result = HistoryPage{}};
  if (!page) {
    answer.result = std::unexpected(std::move(page.error()));
  } else {
    const bool empty = channel.first_seq() > channel.seq;
    answer.result = HistoryPage{.epoch = channel.epoch,
                                .first = empty ? 0 : channel.first_seq(),
                                .last = empty ? 0 : channel.seq,
                                .messages = std::move(*page)};
  }
  post_(to, std::move(answer));
}

void Home::handle(ShardId from, CatchUpCommand&& command, const Time& now) {
  Channel* channel = channels_.get(command.home);
  TIDEWIRE_CHECK(channel != nullptr);  // followed channels are not swept
  const Handle home = command.home;
  if (channel->parked) begin(home, *channel);
  channel->last_used_ms = now.mono_ms();
  // After a failed append the state is built anew, and says nothing before it is.
  if (wait_for_log(home, *channel, from, command, now)) return;
  if (command.backlog && channel->kind == Kind::inbox) return answer_backlog(from, command, *channel, now);
  channel->trim(now.unix_ms);
  std::vector<CatchUpItem> items;
  std::uint64_t next = command.next_seq;
  if (next < channel->first_seq() && channel->folded())
    return answer_with_snapshot(from, command, *channel, now);
  add_trimmed(*channel, next, items);
  const std::size_t messages_max = page_messages(*channel, command, next);
  const std::size_t bytes_max = std::min(command.bytes_max, kReplayBytes);
  if (next <= channel->seq && !channel->history().holds(next))
    return read_log(home, *channel, from, std::move(command), next - 1, messages_max, bytes_max);
  if (next <= channel->seq) channel->history().read(next, now.unix_ms, messages_max, bytes_max, items);
  answer_catch_up(from, command, *channel, std::move(items), next, now);
}

void Home::answer_catch_up(ShardId to, const CatchUpCommand& command, Channel& channel,
                           std::vector<CatchUpItem>&& items, std::uint64_t next_seq, const Time& now) {
  if (!merge(to, command, channel, items, now)) return;
  post_(to, CatchUpResult{.follower = command.follower,
                          .session = command.session,
                          .subscription = command.subscription,
                          .epoch = channel.epoch,
                          .from_seq = command.next_seq,
                          .items = std::move(items),
                          .next_seq = next_seq,
                          .at_end = next_seq > channel.seq,
                          .backlog = command.backlog && next_seq <= command.backlog->up_to ? command.backlog
                                                                                           : std::nullopt,
                          .load = command.load,
                          .for_any = channel.folded() == nullptr});
}

// The log's part of a history page or a catch-up has come, or of what a state is folded from.
void Home::on(log::ReadDone&& done, const Time& now) {
  Channel* channel = channels_.get(done.channel);
  if (channel == nullptr) return;  // of before it was closed
  DurableState& durable = *channel->durable();
  durable.first_seq = std::max(durable.first_seq, done.first_seq);
  if (done.number == durable.folding_read)
    return fold_page(done.channel, *channel, std::move(done.entries), now);
  auto asker = take_read(durable, done.number);
  if (!asker) return;
  const ShardId from = asker->from;
  if (auto* history = std::get_if<HistoryCommand>(&asker->command)) {
    // The newest were asked for, and did not fit: fewer of them do.
    if (!history->after && history->limit > 1 && !done.entries.empty() &&
        done.entries.back().seq + 1 < *history->before) {
      history->limit = std::max<std::uint64_t>(1, std::min(history->limit, done.entries.size()) / 2);
      return handle(from, std::move(*history), now);
    }
    std::vector<SharedBytes> page;
    for (Entry& entry : done.entries)
      if (!entry.expired(now.unix_ms) && entry.seq < *history->before) page.push_back(std::move(entry.body));
    return answer_history(from, std::move(*history), *channel, std::move(page));
  }
  auto& command = std::get<CatchUpCommand>(asker->command);
  if (wait_for_log(done.channel, *channel, from, command, now)) return;
  std::uint64_t next = command.next_seq;
  // The log may have been trimmed while this was waiting to be read.
  if (channel->folded() && next < channel->first_seq() &&
      (done.entries.empty() || next < done.entries.front().seq))
    return answer_with_snapshot(from, command, *channel, now);
  std::vector<CatchUpItem> items = items_of(std::move(done.entries), next, now.unix_ms);
  if (items.empty()) add_trimmed(*channel, next, items);
  answer_catch_up(from, command, *channel, std::move(items), next, now);
}

}  // namespace tidewire::hub
