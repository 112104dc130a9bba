// Channels that fold: what a kind's state decides and shows (kinds/fold.h, protocol §7).

#include <algorithm>

#include "hub/home.h"
#include "kinds/agent.h"
#include "kinds/document.h"
#include "kinds/inbox.h"
#include "kinds/session.h"
#include "kinds/upload.h"
#include "protocol/channel_name.h"

namespace tidewire::hub {

namespace {

// A state is saved once this much has come since, and as much as the state itself is long: what is
// written twice stays in proportion, and opening a channel reads little.
constexpr std::size_t kSaveBytes = 64 * 1024;
constexpr std::uint64_t kSaveEvents = 256;

std::string_view rest_of(std::string_view channel) { return channel.substr(channel.find(':') + 1); }

kinds::SessionOptions session_options(const Channel& channel) { return {.open_join = channel.ns->open_join}; }

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

// ---- catching up ----

// One item for all that is missing, once nothing that it rests on can fail any more.
void Home::answer_with_whole(ShardId to, const CatchUpCommand& command, Channel& channel,
                             CatchUpItem&& item) {
  settle(channel, [this, to, command, item = std::move(item)](const Error* error) {
    Channel& there = *channels_.get(command.home);
    if (error != nullptr) return there.durable()->waiting.push_back({.from = to, .command = command});
    post_(to, CatchUpResult{.follower = command.follower,
                            .session = command.session,
                            .subscription = command.subscription,
                            .epoch = there.epoch,
                            .from_seq = command.next_seq,
                            .items = {item},
                            .next_seq = item.last + 1,
                            .at_end = item.last + 1 > there.seq,
                            .load = command.load});
  });
}

void Home::answer_with_snapshot(ShardId to, const CatchUpCommand& command, Channel& channel,
                                const Time& now) {
  answer_with_whole(to, command, channel,
                    {.first = command.next_seq,
                     .last = channel.folded()->seq,
                     .body = snapshot_of(channel, now),
                     .kind = CatchUpItem::Kind::snapshot});
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
  answer_with_whole(
      to, command, channel,
      {.first = first, .last = folded.seq, .body = folded.fold->whole(first, folded.seq, now.unix_ms)});
  return false;
}

void Home::after_event(Handle handle, Channel& channel, const Time& now) {
  // Who was a member is asked of messages that are kept, and of those to come.
  if (channel.kind == Kind::session)
    static_cast<kinds::SessionChannel&>(*channel.folded()->fold)
        .forget_leavers(channel.history().empty() ? channel.seq + 1 : channel.history().first_seq());
  if (channel.kind == Kind::inbox && !channel.durable() && !channel.followers.empty())
    channel.folded()->mark = channel.seq;
  if (channel.kind == Kind::upload || channel.kind == Kind::agent) {
    channel.folded()->idle_from_ms = now.unix_ms;
    watch_run(handle, channel);
  }
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

}  // namespace tidewire::hub
