// Inboxes: what waited for its user, and what the user has acknowledged (protocol §7 `inbox`).

#include "base/json_text.h"
#include "hub/home.h"
#include "hub/publish.h"
#include "kinds/inbox.h"

namespace tidewire::hub {

// What waited is sent to a new follower, in an order of its own (protocol §7 `inbox`).
std::optional<Backlog> Home::start_backlog(Handle handle, Channel& channel, const Time& now) {
  Folded& folded = *channel.folded();
  const auto& inbox = static_cast<const kinds::Inbox&>(*folded.fold);
  const std::uint64_t sent_up_to = std::exchange(folded.mark, channel.seq);
  if (channel.durable() && folded.mark != sent_up_to)
    submit_(log::SaveMark{.channel = handle, .mark = folded.mark});
  // With acks under way it may be less empty than it looks.
  if (inbox.size(now.unix_ms) == 0 && (!channel.durable() || channel.durable()->pending.empty()))
    return std::nullopt;
  return Backlog{.after = {}, .up_to = channel.seq, .sent_up_to = sent_up_to};
}

void Home::answer_backlog(ShardId to, const CatchUpCommand& command, Channel& channel, const Time& now) {
  const auto& inbox = static_cast<const kinds::Inbox&>(*channel.folded()->fold);
  Backlog backlog = *command.backlog;
  auto pending = inbox.backlog(backlog.after, backlog.up_to, kReplayMessages, kReplayBytes, now.unix_ms);
  CatchUpResult result{.follower = command.follower,
                       .session = command.session,
                       .subscription = command.subscription,
                       .epoch = channel.epoch,
                       .from_seq = command.next_seq,
                       .items = {},
                       .next_seq = backlog.up_to + 1,
                       .at_end = false,
                       .load = command.load};
  for (kinds::Inbox::Pending& entry : pending) {
    backlog.after = {.priority = entry.priority, .seq = entry.seq};
    SharedBytes body = entry.seq <= backlog.sent_up_to
                           ? SharedBytes("\"redelivered\":true,", entry.body.view())
                           : std::move(entry.body);
    result.items.push_back({.first = entry.seq, .last = entry.seq, .body = std::move(body)});
  }
  if (!pending.empty()) result.backlog = backlog;
  // What an ack under way leaves out would be pending again if that failed.
  settle(channel, [this, to, command, result = std::move(result)](const Error* error) mutable {
    Channel& there = *channels_.get(command.home);
    if (error != nullptr) return there.durable()->waiting.push_back({.from = to, .command = command});
    if (!result.backlog) result.at_end = result.next_seq > there.seq;
    post_(to, std::move(result));
  });
}

void Home::handle(ShardId from, AckCommand&& command, const Time& now) {
  Handle handle;
  Channel& channel = open(command.channel, now, &handle);
  if (wait_for_log(handle, channel, from, command, now)) return;
  if (channel.kind != Kind::inbox)  // opened as another kind, before a reload
    return refuse({.from = from, .command = std::move(command)},
                  fail(ErrorCode::invalid_message, "`ack` is for inboxes").error());
  auto& inbox = static_cast<kinds::Inbox&>(*channel.folded()->fold);
  Acked acked;
  acked.seqs = command.up_to ? inbox.pending_up_to(*command.up_to, now.unix_ms)
                             : inbox.pending_among(command.seqs, now.unix_ms);
  acked.pending = inbox.size(now.unix_ms) - acked.seqs.size();
  PendingEntry pending;
  pending.asker = {.shard = from, .reply = command.reply};
  pending.acked = acked;
  if (acked.seqs.empty()) {
    settle(channel, [this, handle, pending = std::move(pending)](const Error* error) {
      answer(pending, *channels_.get(handle), error);
    });
    return;
  }
  // An entry of the log like any other; the reply is its delivery to the one who acked.
  std::string seqs = "{\"seqs\":[";
  for (const std::uint64_t seq : acked.seqs) {
    if (seqs.back() != '[') seqs += ',';
    append_json_int(seqs, seq);
  }
  seqs += "]}";
  pending.skip = command.session;
  pending.entry.seq = channel.assigned() + 1;
  pending.entry.timestamp_ms = now.unix_ms;
  pending.entry.body =
      SharedBytes(head_of(pending.entry), event_tail("ack", command.author->from_json, seqs));
  pending.acked->seq = pending.entry.seq;
  pending.event = kinds::event_of(pending.entry.body, 0);
  const auto taken = inbox.take(pending.event, {.server = true, .may_subscribe = true, .may_publish = true});
  TIDEWIRE_CHECK(taken.has_value());  // it names pending entries
  append(handle, channel, std::move(pending), now);
}

}  // namespace tidewire::hub
