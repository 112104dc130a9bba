// Messages at their channel's home: numbered, made safe, kept, shown; and read again.

#include <algorithm>

#include "base/json_text.h"
#include "hub/home.h"

namespace tidewire::hub {

namespace {
constexpr std::uint64_t kHistoryPageMax = 1000;

// Entries as catch-up items from `next` on; what is missing between is a gap.
std::vector<CatchUpItem> items_of(std::vector<Entry>&& entries, std::uint64_t& next, std::int64_t now_ms) {
  std::vector<CatchUpItem> items;
  const auto gap = [&](std::uint64_t last) {
    if (!items.empty() && !items.back().body)
      items.back().last = last;
    else
      items.push_back({.first = next, .last = last, .body = {}});
  };
  for (Entry& entry : entries) {
    if (entry.seq < next) continue;
    if (entry.seq > next) gap(entry.seq - 1);
    next = entry.seq;
    if (entry.expired(now_ms))
      gap(entry.seq);
    else
      items.push_back({.first = entry.seq, .last = entry.seq, .body = std::move(entry.body)});
    ++next;
  }
  return items;
}
}  // namespace

void Home::handle(ShardId from, PublishCommand&& command, const Time& now) {
  Handle handle;
  Channel& channel = open(command.channel, now, &handle);
  if (wait_for_log(channel, from, command)) return;
  const PendingEntry::Asker asker{.shard = from, .reply = command.reply};

  if (command.ephemeral) {
    std::string head = "\"timestamp\":";
    append_json_int(head, now.unix_ms);
    head += ',';
    deliver(channel, 0, SharedBytes(head, command.tail), command.skip, from);
    return answer(asker, channel, Published{.epoch = channel.epoch, .seq = 0});
  }

  std::string key;
  if (!command.key.empty()) {
    key = IdempotencyWindow::joined(command.author->scope, command.key);
    const auto seq = channel.keys ? channel.keys->find(key, now.unix_ms) : std::nullopt;
    if (seq) return answer(asker, channel, Published{.epoch = channel.epoch, .seq = *seq, .duplicate = true});
    if (channel.durable) {
      Ring<PendingEntry>& pending = channel.durable->pending;
      for (std::size_t i = 0; i < pending.size(); ++i)
        if (pending[i].key == key) return pending[i].repeats.push_back(asker);
    }
  }

  const std::uint64_t seq = channel.durable ? ++channel.durable->assigned : channel.seq + 1;
  std::string head = "\"seq\":";
  append_json_int(head, seq);
  head += ",\"timestamp\":";
  append_json_int(head, now.unix_ms);
  head += ',';
  PendingEntry pending{.entry = {.seq = seq,
                                 .timestamp_ms = now.unix_ms,
                                 .expires_ms = command.ttl_ms == 0 ? 0 : now.unix_ms + command.ttl_ms,
                                 .body = SharedBytes(head, command.tail)},
                       .key = std::move(key),
                       .asker = asker,
                       .skip = command.skip,
                       .repeats = {}};
  if (!channel.durable) return commit(channel, std::move(pending), now);

  // Commit, then show: until the log has it, nobody hears of it.
  pending.number = channel.durable->next_number++;
  log::Append append{.channel = handle, .number = pending.number, .entries = {pending.entry}, .keys = {}};
  if (!pending.key.empty())
    append.keys.push_back(
        {.name = pending.key, .seq = seq, .until_ms = now.unix_ms + options_.idempotency_window_ms});
  channel.durable->pending.push_back(std::move(pending));
  submit_(std::move(append));
}

// The message is as safe as its namespace promises: it counts, is kept, is shown and answered.
void Home::commit(Channel& channel, PendingEntry&& pending, const Time& now) {
  channel.seq = pending.entry.seq;
  const SharedBytes body = pending.entry.body;
  channel.history.append(std::move(pending.entry), channel.bounds());
  if (!pending.key.empty()) {
    if (!channel.keys) channel.keys = std::make_unique<IdempotencyWindow>();
    channel.keys->add(std::move(pending.key), channel.seq, now.unix_ms + options_.idempotency_window_ms);
  }
  deliver(channel, channel.seq, body, pending.skip, pending.asker.shard);
  answer(pending.asker, channel, Published{.epoch = channel.epoch, .seq = channel.seq});
  for (const PendingEntry::Asker& repeat : pending.repeats)
    answer(repeat, channel, Published{.epoch = channel.epoch, .seq = channel.seq, .duplicate = true});
}

void Home::answer(const PendingEntry::Asker& asker, const Channel& channel, Result<Published> result) {
  post_(asker.shard,
        PublishResult{.reply = asker.reply, .channel = channel.key, .result = std::move(result)});
}

void Home::deliver(const Channel& channel, std::uint64_t seq, const SharedBytes& body, Handle skip,
                   ShardId skip_shard) {
  for (const Channel::Follower& follower : channel.followers)
    post_(follower.shard, Delivery{.follower = follower.replica,
                                   .seq = seq,
                                   .body = body,
                                   .skip = follower.shard == skip_shard ? skip : Handle{}});
}

void Home::handle(ShardId from, HistoryCommand&& command, const Time& now) {
  // A channel that was never used has an empty history, and an epoch once somebody asks for it.
  Handle handle;
  Channel& channel = open(command.channel, now, &handle);
  if (wait_for_log(channel, from, command)) return;
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
  if (channel.durable && low < before && command.limit > 0 && !channel.history.holds(low)) {
    const std::uint64_t count = std::min(command.limit, before - low);
    return read_log(handle, channel, from, std::move(command), low - 1, count);
  }
  std::vector<SharedBytes> page =
      channel.history.page(command.after.value_or(0), before, command.limit, newest, now.unix_ms);
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
  channel->trim(now.unix_ms);
  std::vector<CatchUpItem> items;
  std::uint64_t next = command.next_seq;
  if (next < channel->first_seq()) {
    items.push_back({.first = next, .last = channel->first_seq() - 1, .body = {}});
    next = channel->first_seq();
  }
  if (next <= channel->seq && !channel->history.holds(next)) {
    const Handle home = command.home;
    return read_log(home, *channel, from, std::move(command), next - 1, kReplayMessages);
  }
  if (next <= channel->seq) channel->history.read(next, now.unix_ms, kReplayMessages, kReplayBytes, items);
  answer_catch_up(from, command, *channel, std::move(items), next);
}

void Home::answer_catch_up(ShardId to, const CatchUpCommand& command, const Channel& channel,
                           std::vector<CatchUpItem>&& items, std::uint64_t next_seq) {
  post_(to, CatchUpResult{.follower = command.follower,
                          .session = command.session,
                          .subscription = command.subscription,
                          .epoch = channel.epoch,
                          .items = std::move(items),
                          .next_seq = next_seq,
                          .at_end = next_seq > channel.seq});
}

// The log's part of a history page or a catch-up has come.
void Home::on(log::ReadDone&& done, const Time& now) {
  Channel* channel = channels_.get(done.channel);
  TIDEWIRE_CHECK(channel != nullptr);  // a channel with reads under way is not swept
  channel->durable->first_seq = std::max(channel->durable->first_seq, done.first_seq);
  ShardId from = 0;
  Message asker = take_read(*channel->durable, done.number, from);
  if (auto* history = std::get_if<HistoryCommand>(&asker)) {
    std::vector<SharedBytes> page;
    for (Entry& entry : done.entries)
      if (!entry.expired(now.unix_ms) && entry.seq < history->before.value_or(~std::uint64_t{0}))
        page.push_back(std::move(entry.body));
    return answer_history(from, std::move(*history), *channel, std::move(page));
  }
  const auto& command = std::get<CatchUpCommand>(asker);
  std::uint64_t next = command.next_seq;
  std::vector<CatchUpItem> items = items_of(std::move(done.entries), next, now.unix_ms);
  if (items.empty() && next < channel->first_seq()) {
    items.push_back({.first = next, .last = channel->first_seq() - 1, .body = {}});
    next = channel->first_seq();
  }
  answer_catch_up(from, command, *channel, std::move(items), next);
}

}  // namespace tidewire::hub
