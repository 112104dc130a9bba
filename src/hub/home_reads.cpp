// Messages at their channel's home that are read again: for a `history`, and for those who are behind.

#include <algorithm>

#include "hub/home.h"

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
}  // namespace

void Home::handle(ShardId from, HistoryCommand&& command, const Time& now) {
  // A channel that was never used has an empty history, and an epoch once somebody asks for it.
  Handle handle;
  Channel& channel = open(command.channel, now, &handle);
  if (wait_for_log(handle, channel, from, command, now)) return;
  // Behind what the same connection published before (protocol §4), and by a membership that can't fail.
  const bool allowed = may_read(channel, command.author, command.rights);
  settle(channel, [=, this, command = std::move(command)](const Error* error) mutable {
    Channel& there = *channels_.get(handle);
    if (error != nullptr && there.folded())
      return there.durable()->waiting.push_back({.from = from, .command = std::move(command)});
    if (allowed) return read_history(from, handle, std::move(command), now);
    answer_history(from, std::move(command), there,
                   fail(ErrorCode::forbidden, "this channel belongs to others"));
  });
}

void Home::read_history(ShardId from, Handle handle, HistoryCommand&& command, const Time& now) {
  Channel& channel = *channels_.get(handle);
  channel.trim(now.unix_ms);
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
  // A bound that has just been raised may leave what the log has trimmed in the cache.
  const std::uint64_t after = std::max(command.after.value_or(0), channel.first_seq() - 1);
  std::vector<SharedBytes> page = channel.history().page(after, before, command.limit, newest, now.unix_ms);
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
    // A read stops behind the message with which it has enough.
    History::cut_to_page(page, !history->after);
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
