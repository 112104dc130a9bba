// Messages at their channel's home: checked, numbered, made safe, kept and shown.

#include "base/json_text.h"
#include "hub/home.h"
#include "hub/publish.h"
#include "kinds/session.h"

namespace tidewire::hub {

namespace {
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

bool waits_in_window(const Channel& channel) {
  return channel.folded() && channel.folded()->window && channel.folded()->shown < channel.seq;
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
    auto taken = channel.folded()->fold->take(pending.event, asker);
    if (!taken) return refuse_settled(handle, channel, pending.asker, taken.error());
    if (taken->dropped) return answer_dropped(handle, channel, pending.asker);
    pending.leaver = std::move(taken->leaver);
  }
  if (command.ephemeral) return take_ephemeral(handle, channel, std::move(pending), now);
  append(handle, channel, std::move(pending), now);
}

// It takes its place behind what came before it (protocol §5, guarantee 1) and is still held back: by the
// log, which need not succeed, or in a conflated channel's window, which ends with it.
void Home::take_ephemeral(Handle handle, Channel& channel, PendingEntry&& pending, const Time& now) {
  if (!channel.durable() || channel.durable()->pending.empty()) {
    if (waits_in_window(channel)) close_window(handle, channel, now);
    return show_ephemeral(channel, pending);
  }
  const std::size_t bytes = pending.entry.body.size();
  if (channel.durable()->held_bytes + bytes > DurableState::kHeldBytes)
    return answer(pending.asker, channel, std::unexpected(overload_error()));
  channel.durable()->held_bytes += bytes;
  settle(channel, [this, handle, bytes, now, pending = std::move(pending)](const Error* error) {
    Channel& there = *channels_.get(handle);
    there.durable()->held_bytes -= bytes;
    if (error == nullptr && waits_in_window(there)) close_window(handle, there, now);
    // Where only the whole state can stand for the window, it goes when that is safe.
    if (error != nullptr || !waits_in_window(there)) return show_ephemeral(there, pending);
    there.folded()->window->behind.push_back(
        [this, handle, pending] { show_ephemeral(*channels_.get(handle), pending); });
  });
}

void Home::show_ephemeral(const Channel& channel, const PendingEntry& pending) {
  deliver(channel, 0, 0, pending.entry.body, pending.skip, pending.asker.shard);
  answer(pending.asker, channel, Published{.epoch = channel.epoch, .seq = 0});
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
  tell_retention(handle, channel);
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
  if (!pending.leaver.empty()) revoke_readers(channel, pending.leaver);
  show(handle, channel, pending, now);
  if (channel.kind == Kind::session &&
      tell_absent(handle, channel, pending.event,
                  {.seq = channel.seq, .published = {pending.asker}, .duplicate = pending.repeats}))
    for (const auto& then : pending.held) then(nullptr);
  else
    answer(pending, channel, nullptr);
  if (channel.folded()) after_event(handle, channel, now);
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

}  // namespace tidewire::hub
