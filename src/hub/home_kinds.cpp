// Channels that fold: what a kind's state decides and shows (kinds/fold.h, protocol §7).

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/json_text.h"
#include "hub/home.h"
#include "hub/publish.h"
#include "kinds/agent.h"
#include "kinds/document.h"
#include "kinds/inbox.h"
#include "kinds/session.h"
#include "kinds/upload.h"
#include "protocol/channel_name.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

namespace {

// A state is saved once this much has come since, and as much as the state itself is long: what is
// written twice stays in proportion, and opening a channel reads little.
constexpr std::size_t kSaveBytes = 64 * 1024;
constexpr std::uint64_t kSaveEvents = 256;
// What waits in a conflated channel's window is merged before it gets longer than this.
constexpr std::size_t kWindowRuns = 256;
constexpr std::size_t kWindowBytes = 256 * 1024;

std::string_view rest_of(std::string_view channel) { return channel.substr(channel.find(':') + 1); }

kinds::SessionOptions session_options(const Channel& channel) { return {.open_join = channel.ns->open_join}; }

std::string tail_of(std::string_view event, std::string_view from_json, std::string_view data,
                    std::string_view flags_json = {}) {
  protocol::MessageWriter writer;
  writer.text("event", event);
  if (!from_json.empty()) writer.json("from", from_json);
  if (!flags_json.empty()) writer.json("flags", flags_json);
  writer.json("data", data);
  return writer.finish().substr(1);
}

}  // namespace

// A fold is as old as its channel; a reload may have come since.
void Home::adopt_settings(Channel& channel) {
  if (channel.kind != Kind::session) return;
  static_cast<kinds::SessionChannel&>(*channel.folded()->fold).set_options(session_options(channel));
}

std::unique_ptr<kinds::Fold> Home::make_fold(const Channel& channel) const {
  switch (channel.kind) {
    case Kind::document:
      return std::make_unique<kinds::Document>();
    case Kind::session:
      return std::make_unique<kinds::SessionChannel>(session_options(channel));
    case Kind::inbox:
      return std::make_unique<kinds::Inbox>(rest_of(channel.key.name), inbox_options_);
    case Kind::upload:
      return std::make_unique<kinds::Upload>();
    case Kind::agent:
      return std::make_unique<kinds::Agent>();
    case Kind::stream:
      break;
  }
  return nullptr;
}

kinds::Asker Home::asker_of(const std::shared_ptr<const Author>& author, const Rights& rights) {
  kinds::Asker asker{
      .server = rights.server, .may_subscribe = rights.subscribe, .may_publish = rights.publish};
  if (author != nullptr) {
    asker.user_id = author->user_id;
    asker.user_json = author->id_json;
  }
  return asker;
}

// By rule, grant or API key, or because the channel is theirs.
bool Home::may_read(const Channel& channel, const std::shared_ptr<const Author>& author,
                    const Rights& rights) {
  if (!channel.folded() || rights.subscribe) return true;
  return author != nullptr && !author->user_id.empty() && channel.folded()->fold->owned_by(author->user_id);
}

void Home::settle(Channel& channel, std::function<void(const Error*)> then) {
  if (!channel.durable() || channel.durable()->pending.empty()) return then(nullptr);
  Ring<PendingEntry>& pending = channel.durable()->pending;
  pending[pending.size() - 1].held.push_back(std::move(then));
}

const SharedBytes& Home::snapshot_of(Channel& channel, const Time& now) {
  Folded& folded = *channel.folded();
  // An inbox's changes with time alone.
  if (!folded.snapshot || channel.kind == Kind::inbox)
    folded.snapshot = SharedBytes(folded.fold->snapshot(now.unix_ms));
  return folded.snapshot;
}

void Home::save_state(Handle handle, Channel& channel, Save save) {
  Folded& folded = *channel.folded();
  const std::uint64_t events = folded.seq - folded.saved_seq;
  const std::uint64_t events_max = std::clamp<std::uint64_t>(channel.ns->history_messages, 1, kSaveEvents);
  const bool worth_it =
      events >= events_max || folded.unsaved_bytes >= std::max(kSaveBytes, folded.saved_bytes);
  if (save == Save::when_worth_it && (!worth_it || folded.unsaved_bytes < folded.saved_bytes / 8)) return;
  SharedBytes state(folded.fold->save());
  folded.saved_seq = folded.seq;
  folded.saved_bytes = state.size();
  folded.unsaved_bytes = 0;
  submit_(log::SaveSnapshot{.channel = handle, .seq = folded.seq, .state = std::move(state)});
}

// ---- conflation: at most one delivery per window ----

void Home::show(Handle handle, Channel& channel, const PendingEntry& pending, const Time& now) {
  const std::uint64_t seq = pending.entry.seq;
  const auto deliver_it = [&] {
    deliver(channel, seq, seq, pending.entry.body, pending.skip, pending.asker.shard);
  };
  const std::int64_t window_ms = channel.conflate_ms();
  if (window_ms == 0 && !(channel.folded() && channel.folded()->window)) return deliver_it();
  Folded& folded = *channel.folded();
  if (!folded.window) folded.window = std::make_unique<Folded::Window>();
  Folded::Window& window = *folded.window;
  if (folded.shown + 1 == seq && now.mono_ms() >= window.ends_ms) {
    window.ends_ms = now.mono_ms() + window_ms;
    folded.shown = seq;
    return deliver_it();
  }
  schedule_window(handle, window);
  if (folded.shown + 1 == seq) {
    window.skip = pending.skip;
    window.skip_shard = pending.asker.shard;
  } else if (window.skip != pending.skip || window.skip_shard != pending.asker.shard) {
    window.skip = {};
  }
  if (window.whole) return;
  window.runs.push_back({.first = seq, .last = seq, .body = pending.entry.body});
  window.bytes += pending.entry.body.size();
  if (window.runs.size() < kWindowRuns && window.bytes < kWindowBytes) return;
  auto merged = folded.fold->conflate(std::move(window.runs));
  window.runs.clear();
  window.bytes = 0;
  window.whole = !merged;
  if (!merged) return;
  for (const kinds::Run& run : *merged) window.bytes += run.body.size();
  window.runs = std::move(*merged);
  window.whole = window.bytes >= kWindowBytes;
}

void Home::schedule_window(Handle handle, Folded::Window& window) {
  if (window.scheduled) return;
  window.scheduled = true;
  windows_.push({window.ends_ms, handle});
}

// What was held back when an append failed, from the entries that are safe.
void Home::refill_window(Handle handle, Channel& channel) {
  Folded& folded = *channel.folded();
  Folded::Window& window = *folded.window;
  window.runs.clear();
  window.bytes = 0;
  window.skip = {};
  window.whole = !channel.history().holds(folded.shown + 1);
  for (std::uint64_t seq = folded.shown + 1; !window.whole && seq <= channel.seq; ++seq) {
    window.runs.push_back({.first = seq, .last = seq, .body = channel.history().at(seq).body});
    window.bytes += window.runs.back().body.size();
  }
  schedule_window(handle, window);
}

void Home::show_due(const Time& now) {
  while (!windows_.empty() && windows_.top().at_ms <= now.mono_ms()) {
    const Handle handle = windows_.top().channel;
    windows_.pop();
    Channel* channel = channels_.get(handle);
    if (channel == nullptr || !channel->folded() || !channel->folded()->window) continue;
    Folded::Window& window = *channel->folded()->window;
    window.scheduled = false;
    // What a failed append has left is told once the state is built anew (finish_opening).
    if (channel->durable() && channel->durable()->state != DurableState::State::open) continue;
    if (window.ends_ms <= now.mono_ms())
      close_window(handle, *channel, now);
    else if (channel->folded()->shown < channel->seq)
      schedule_window(handle, window);  // the one before it has ended early
  }
}

void Home::close_window(Handle handle, Channel& channel, const Time& now) {
  Folded& folded = *channel.folded();
  Folded::Window& window = *folded.window;
  window.ends_ms = now.mono_ms() + channel.conflate_ms();
  if (channel.seq == folded.shown) return;
  if (!window.whole) {
    auto merged = folded.fold->conflate(std::exchange(window.runs, {}));
    window.bytes = 0;
    if (merged) {
      for (const kinds::Run& run : *merged)
        deliver(channel, run.first, run.last, run.body, window.skip, window.skip_shard);
      folded.shown = channel.seq;
      return;
    }
  }
  // The whole state, which may be ahead of what is safe: then what it stands for grows until it is.
  window.whole = true;
  const std::uint64_t seq = folded.seq;
  const ShardId skip_shard = window.skip_shard;
  Handle skip = window.skip;
  for (std::size_t i = 0; skip && channel.durable() && i < channel.durable()->pending.size(); ++i) {
    const PendingEntry& pending = channel.durable()->pending[i];
    if (pending.skip != skip || pending.asker.shard != skip_shard) skip = {};
  }
  settle(channel, [this, handle, seq, skip, skip_shard,
                   body = folded.fold->whole(folded.shown + 1, seq, now.unix_ms)](const Error* error) {
    if (error != nullptr) return;  // opening it anew shows what is safe
    Channel& there = *channels_.get(handle);
    if (there.folded()->shown >= seq) return;  // a later window's, told together with an earlier one's
    deliver(there, there.folded()->shown + 1, seq, body, skip, skip_shard);
    there.folded()->shown = seq;
    there.folded()->window->whole = false;
  });
}

// ---- catching up ----

void Home::answer_with_snapshot(ShardId to, const CatchUpCommand& command, Channel& channel,
                                const Time& now) {
  const std::uint64_t seq = channel.folded()->seq;
  settle(channel, [this, to, command, seq, data = snapshot_of(channel, now)](const Error* error) {
    Channel& there = *channels_.get(command.home);
    if (error != nullptr) return there.durable()->waiting.push_back({.from = to, .command = command});
    post_(to, CatchUpResult{.follower = command.follower,
                            .session = command.session,
                            .subscription = command.subscription,
                            .epoch = there.epoch,
                            .from_seq = command.next_seq,
                            .items = {{.first = command.next_seq,
                                       .last = seq,
                                       .body = data,
                                       .kind = CatchUpItem::Kind::snapshot}},
                            .next_seq = seq + 1,
                            .at_end = seq + 1 > there.seq,
                            .load = command.load});
  });
}

bool Home::merge(ShardId to, const CatchUpCommand& command, Channel& channel, std::vector<CatchUpItem>& items,
                 const Time& now) {
  const auto is_message = [](const CatchUpItem& item) { return item.kind == CatchUpItem::Kind::message; };
  const bool merges = channel.merges() || (command.merged && channel.kind == Kind::document);
  if (!merges || items.size() < 2 || !std::ranges::all_of(items, is_message)) return true;
  Folded& folded = *channel.folded();
  std::vector<kinds::Run> runs;
  for (CatchUpItem& item : items)
    runs.push_back({.first = item.first, .last = item.last, .body = std::move(item.body)});
  const std::uint64_t first = runs.front().first;
  auto merged = folded.fold->conflate(std::move(runs));
  items.clear();
  if (merged) {
    for (kinds::Run& run : *merged)
      items.push_back({.first = run.first, .last = run.last, .body = std::move(run.body)});
    return true;
  }
  const std::uint64_t seq = folded.seq;
  settle(channel, [this, to, command, first, seq,
                   body = folded.fold->whole(first, seq, now.unix_ms)](const Error* error) {
    Channel& there = *channels_.get(command.home);
    if (error != nullptr) return there.durable()->waiting.push_back({.from = to, .command = command});
    post_(to, CatchUpResult{.follower = command.follower,
                            .session = command.session,
                            .subscription = command.subscription,
                            .epoch = there.epoch,
                            .from_seq = command.next_seq,
                            .items = {{.first = first, .last = seq, .body = body}},
                            .next_seq = seq + 1,
                            .at_end = seq + 1 > there.seq,
                            .load = command.load});
  });
  return false;
}

// ---- inboxes ----

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
  pending.entry.body = SharedBytes(head_of(pending.entry), tail_of("ack", command.author->from_json, seqs));
  pending.acked->seq = pending.entry.seq;
  pending.event = kinds::event_of(pending.entry.body, 0);
  const auto taken = inbox.take(pending.event, {.server = true, .may_subscribe = true, .may_publish = true});
  TIDEWIRE_CHECK(taken.has_value());  // it names pending entries
  append(handle, channel, std::move(pending), now);
}

// ---- what an event brings about ----

void Home::after_event(Handle handle, Channel& channel, const Time& now) {
  if (channel.kind == Kind::inbox && !channel.durable() && !channel.followers.empty())
    channel.folded()->mark = channel.seq;
  if (channel.kind == Kind::upload || channel.kind == Kind::agent) {
    channel.folded()->idle_from_ms = now.unix_ms;
    watch_run(handle, channel);
  }
}

// Who joins and leaves while it is on its way to the log; nobody where nobody leaves, since whoever joins
// stands in the state.
std::vector<kinds::Event> Home::changes_pending(const Channel& channel) {
  std::vector<kinds::Event> changes;
  if (channel.folded()->leaves_pending == 0) return changes;
  const Ring<PendingEntry>& pending = channel.durable()->pending;
  for (std::size_t i = 0; i < pending.size(); ++i)
    if (kinds::changes_members(pending[i].event.name)) changes.push_back(pending[i].event);
  return changes;
}

// Who was a member as of this message and has no connection here gets it in the inbox, and only then its
// publisher is answered: what was acknowledged reaches them whatever happens. A key makes telling it twice
// harmless. `later` are the members' changes behind it. False when there is nobody to tell.
bool Home::tell_absent(Handle handle, Channel& channel, const kinds::Event& event,
                       std::span<const kinds::Event> later, Folded::Telling&& telling) {
  const Namespace* ns = namespaces_.find(kInboxNamespace);
  if (ns == nullptr || ns->kind != Kind::inbox || !kinds::SessionChannel::is_message(event)) return false;
  Folded& folded = *channel.folded();
  std::vector<std::string_view> here;
  for (const Folded::Reader& reader : folded.readers) here.push_back(reader.user_id);
  std::ranges::sort(here);
  telling.users = static_cast<const kinds::SessionChannel&>(*folded.fold)
                      .members_at(event.seq, later, [&](std::string_view user_id) {
                        return user_id != event.user_id && !std::ranges::binary_search(here, user_id);
                      });
  if (telling.users.empty()) return false;
  protocol::MessageWriter writer;
  writer.text("channel", channel.key.name).number("seq", event.seq);
  if (!event.from_json.empty()) writer.json("from", event.from_json);
  const std::string data = writer.json("data", event.payload).finish();
  telling.tail = SharedBytes(tail_of("session_message", {}, data, event.flags_json));
  telling.key = fmt::format("{} {} {}", channel.key.name, channel.epoch.view(), event.seq);
  tellings_bytes_ += telling.bytes();

  if (!folded.tellings) folded.tellings = std::make_unique<Folded::Tellings>();
  Folded::Tellings& tellings = *folded.tellings;
  const std::uint32_t slot = tellings.next_slot++;
  tellings.all.emplace(slot, std::move(telling));
  if (tellings.unsent.empty()) tellers_.push_back(handle);
  tellings.unsent.push_back(slot);
  tell_on();
  return true;
}

// A message that came again with its key: a crash, or an error, may have come between it and the inboxes of
// those who are away. False when there is nobody to tell.
bool Home::tell_again(Handle handle, Channel& channel, std::uint64_t seq, const PendingEntry::Asker& asker) {
  if (!channel.history().holds(seq)) return false;
  if (Folded::Tellings* tellings = channel.folded()->tellings.get()) {
    if (tellings->told.contains(seq)) return false;
    for (auto& [slot, telling] : tellings->all) {
      if (telling.seq != seq) continue;
      telling.duplicate.push_back(asker);
      return true;
    }
  }
  if (!may_tell(channel)) {
    answer(asker, channel, std::unexpected(overload_error()));
    return true;
  }
  constexpr std::size_t kHeadBytes = 80;  // an event's name stands behind its seq and timestamp
  std::vector<kinds::Event> later;
  for (std::uint64_t at = seq + 1; at <= channel.seq; ++at) {
    const SharedBytes& body = channel.history().at(at).body;
    const std::string_view head = body.view().substr(0, kHeadBytes);
    if (!head.contains(R"("event":"join")") && !head.contains(R"("event":"leave")")) continue;
    kinds::Event event = kinds::event_of(body, 0);
    if (kinds::changes_members(event.name)) later.push_back(std::move(event));
  }
  std::ranges::move(changes_pending(channel), std::back_inserter(later));
  return tell_absent(handle, channel, kinds::event_of(channel.history().at(seq).body, 0), later,
                     {.seq = seq, .published = {}, .duplicate = {asker}});
}

// Who waits for nothing may always begin, so that one busy session keeps no other waiting.
bool Home::may_tell(const Channel& channel) const {
  return tellings_bytes_ < kTellingsBytes || !channel.folded()->is_telling();
}

// As much as may be on its way, so that the log never has to refuse it.
void Home::tell_on() {
  const std::size_t bytes_max = kTellBytes / options_.shards;
  while (!tellers_.empty() && telling_bytes_ < bytes_max) {
    const Handle handle = tellers_.front();
    tellers_.pop_front();
    Channel& channel = *channels_.get(handle);
    tell_some(handle, channel, bytes_max);
    if (!channel.folded()->tellings->unsent.empty()) tellers_.push_back(handle);
  }
}

// A piece of the session's oldest message that some have not been sent.
void Home::tell_some(Handle handle, Channel& channel, std::size_t bytes_max) {
  Folded::Tellings& tellings = *channel.folded()->tellings;
  const std::uint32_t slot = tellings.unsent.front();
  Folded::Telling& telling = tellings.all.find(slot)->second;
  const std::size_t bytes_of_one = telling.bytes_of_one();
  for (std::size_t bytes = 0; bytes < kTellTurnBytes && telling_bytes_ < bytes_max; bytes += bytes_of_one) {
    PublishCommand command;
    command.channel = {channel.key.tenant, auth::UserId(telling.users[telling.next]).inbox()};
    command.reply = {.kind = ReplyTo::Kind::home, .target = handle, .slot = slot};
    command.author = server_author();
    command.tail = telling.tail;
    command.key = telling.key;
    command.rights = {.server = true, .subscribe = true, .publish = true};
    const ShardId home = home_of(command.channel, options_.hash_seed, options_.shards);
    post_(home, std::move(command));
    telling_bytes_ += bytes_of_one;
    ++telling.outstanding;
    if (++telling.next < telling.users.size()) continue;
    tellings.unsent.pop_front();
    return;
  }
}

void Home::handle(ShardId, PublishResult&& result, const Time&) {
  Channel* channel = channels_.get(result.reply.target);
  TIDEWIRE_CHECK(channel != nullptr);  // one with somebody to answer is not swept
  Folded::Tellings& tellings = *channel->folded()->tellings;
  const auto place = tellings.all.find(result.reply.slot);
  Folded::Telling& telling = place->second;
  if (!result.result) telling.error = result.result.error();
  telling_bytes_ -= telling.bytes_of_one();
  if (--telling.outstanding == 0 && telling.next == telling.users.size()) {
    const Folded::Telling told = std::move(telling);
    tellings.all.erase(place);
    answer_told(*channel, told);
  }
  tell_on();
}

void Home::answer_told(Channel& channel, const Folded::Telling& told) {
  tellings_bytes_ -= told.bytes();
  std::set<std::uint64_t>& all_told = channel.folded()->tellings->told;
  all_told.erase(all_told.begin(), all_told.lower_bound(channel.history().first_seq()));
  if (!told.error && channel.keys() && channel.history().holds(told.seq)) all_told.insert(told.seq);
  Published published{.epoch = channel.epoch, .seq = told.seq};
  const auto answer_all = [&](const std::vector<PendingEntry::Asker>& askers) {
    for (const PendingEntry::Asker& asker : askers) {
      if (told.error)
        answer(asker, channel, std::unexpected(*told.error));
      else
        answer(asker, channel, published);
    }
  };
  answer_all(told.published);
  published.duplicate = true;
  answer_all(told.duplicate);
}

void Home::handle(ShardId from, SnapshotCommand&& command, const Time& now) {
  const Namespace* ns = namespaces_.find(protocol::namespace_of(command.channel.name));
  const auto refuse_with = [&](ErrorCode code, std::string why) {
    refuse({.from = from, .command = std::move(command)}, fail(code, std::move(why)).error());
  };
  if (ns == nullptr || ns->kind == Kind::stream)
    return refuse_with(ErrorCode::not_found, "a stream has no snapshot");
  Handle handle;
  Channel& channel = open(command.channel, now, &handle);
  if (wait_for_log(handle, channel, from, command, now)) return;
  if (!channel.folded()) return refuse_with(ErrorCode::not_found, "a stream has no snapshot");
  if (!may_read(channel, command.author, command.rights))
    return refuse_with(ErrorCode::forbidden, "this channel belongs to others");
  settle(channel, [this, from, handle, command = std::move(command), seq = channel.folded()->seq,
                   data = snapshot_of(channel, now)](const Error* error) {
    if (error != nullptr) return refuse({.from = from, .command = command}, *error);
    post_(from, SnapshotResult{.reply = command.reply,
                               .channel = command.channel,
                               .result = ChannelSnapshot{
                                   .epoch = channels_.get(handle)->epoch, .seq = seq, .data = data}});
  });
}

// ---- runs whose creator is gone (protocol §7 `agent`) ----

void Home::watch_run(Handle handle, Channel& channel) {
  if (channel.run() == nullptr) return;
  const kinds::OwnedRun& run = *channel.run();
  Folded::RunCheck& check = channel.folded()->run_check;
  if (check.scheduled || run.ended() || run.creator().empty()) return;
  check.scheduled = true;
  runs_.push({channel.folded()->idle_from_ms + channel.ns->idle_timeout_ms, handle});
}

void Home::review_runs() {
  Queue<Due> runs;
  for (; !runs_.empty(); runs_.pop()) runs.push({.at_ms = 0, .channel = runs_.top().channel});
  runs_ = std::move(runs);
}

void Home::check_runs(const Time& now) {
  while (!runs_.empty() && runs_.top().at_ms <= now.unix_ms) {
    const Handle handle = runs_.top().channel;
    runs_.pop();
    Channel* channel = channels_.get(handle);
    if (channel == nullptr) continue;
    Folded& folded = *channel->folded();
    folded.run_check.scheduled = false;
    if (folded.idle_from_ms + channel->ns->idle_timeout_ms > now.unix_ms) {
      watch_run(handle, *channel);
      continue;
    }
    const kinds::OwnedRun& run = *channel->run();
    if (run.ended()) continue;
    folded.run_check = {.parts_left = options_.shards, .connections = 0, .scheduled = true};
    const UserQuery query{.tenant = channel->key.tenant, .user_id = std::string(run.creator())};
    for (ShardId shard = 0; shard < options_.shards; ++shard)
      post_(shard, Ask{.reply = {.kind = ReplyTo::Kind::home, .target = handle}, .question = query});
  }
}

void Home::handle(ShardId, Answer&& answer, const Time& now) {
  Channel* channel = channels_.get(answer.reply.target);
  if (channel == nullptr) return;
  Folded& folded = *channel->folded();
  folded.run_check.connections += answer.part.connections.size();
  if (--folded.run_check.parts_left > 0) return;
  folded.run_check.scheduled = false;
  if (folded.run_check.connections > 0 || folded.idle_from_ms + channel->ns->idle_timeout_ms > now.unix_ms) {
    folded.idle_from_ms = now.unix_ms;
    return watch_run(answer.reply.target, *channel);
  }
  PublishCommand fail_it;
  fail_it.channel = channel->key;
  fail_it.reply.kind = ReplyTo::Kind::nobody;
  fail_it.author = server_author();
  fail_it.tail = SharedBytes(tail_of("fail", {}, R"({"reason":"orphaned"})"));
  fail_it.rights = {.server = true, .subscribe = true, .publish = true};
  handle(options_.self, std::move(fail_it), now);
}

}  // namespace tidewire::hub
