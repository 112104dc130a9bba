// A session's messages reach the inboxes of members who are away (protocol §7 `session`).

#include <fmt/format.h>

#include <algorithm>

#include "hub/home.h"
#include "hub/publish.h"
#include "kinds/session.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

// Who was a member as of this message and has no connection here gets it in the inbox, and only then its
// publisher is answered: what was acknowledged reaches them whatever happens. A key makes telling it twice
// harmless. False when there is nobody to tell.
bool Home::tell_absent(Handle handle, Channel& channel, const kinds::Event& event,
                       Folded::Telling&& telling) {
  if (!kinds::SessionChannel::is_message(event)) return false;
  std::vector<std::string_view> here;
  for (const Folded::Reader& reader : channel.folded()->readers) here.push_back(reader.user_id);
  std::ranges::sort(here);
  return tell(
      handle, channel, event,
      [&](std::string_view user_id) { return !std::ranges::binary_search(here, user_id); },
      std::move(telling));
}

// Of its members at that time, the wanted ones.
bool Home::tell(Handle handle, Channel& channel, const kinds::Event& event,
                const std::function<bool(std::string_view user_id)>& wanted, Folded::Telling&& telling) {
  const Namespace* ns = namespaces_.find(kInboxNamespace);
  if (ns == nullptr || ns->kind != Kind::inbox) return false;
  Folded& folded = *channel.folded();
  telling.users = static_cast<const kinds::SessionChannel&>(*folded.fold)
                      .members_at(event.seq, [&](std::string_view user_id) {
                        return user_id != event.user_id && wanted(user_id);
                      });
  if (telling.users.empty()) return false;
  protocol::MessageWriter writer;
  writer.text("channel", channel.key.name).number("seq", event.seq);
  if (!event.from_json.empty()) writer.json("from", event.from_json);
  const std::string data = writer.json("data", event.payload).finish();
  telling.tail = SharedBytes(event_tail("session_message", {}, data, event.flags_json));
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

// A subscription has ended. What the home had for it and the client was not given, as it wished no more of
// it, reaches its user like what comes from now on.
void Home::remove_reader(ShardId from, Handle handle, Channel& channel, const UnsubscribeCommand& command) {
  auto& readers = channel.folded()->readers;
  const auto found = channel.folded()->find_reader(from, command.session, command.subscription);
  if (found == readers.end()) return;
  const Folded::Reader gone = std::move(*found);
  readers.erase(found);
  // Another connection of the user has it, or what stands for it.
  const bool is_here = std::ranges::find(readers, gone.user_id, &Folded::Reader::user_id) != readers.end();
  if (command.lacks_from != 0 && !is_here)
    tell_late(handle, channel, gone.user_id, std::max(command.lacks_from, gone.since + 1));
}

// As far as the history has it, and not more than a page.
void Home::tell_late(Handle handle, Channel& channel, const std::string& user_id, std::uint64_t from_seq) {
  const History& history = channel.history();
  if (channel.seq > kReplayMessages) from_seq = std::max(from_seq, channel.seq + 1 - kReplayMessages);
  for (std::uint64_t seq = std::max(from_seq, history.first_seq());
       seq <= channel.seq && history.holds(seq) && may_tell(channel); ++seq) {
    const kinds::Event event = kinds::event_of(history.at(seq).body, 0);
    if (!kinds::SessionChannel::is_message(event)) continue;
    tell(handle, channel, event, [&](std::string_view member) { return member == user_id; },
         {.seq = seq, .published = {}, .duplicate = {}, .is_late = true});
  }
}

// A message that came again with its key: a crash, or an error, may have come between it and the inboxes of
// those who are away. False when there is nobody to tell.
bool Home::tell_again(Handle handle, Channel& channel, std::uint64_t seq, const PendingEntry::Asker& asker) {
  if (!channel.history().holds(seq)) return false;
  if (Folded::Tellings* tellings = channel.folded()->tellings.get()) {
    if (tellings->told.contains(seq)) return false;
    for (auto& [slot, telling] : tellings->all) {
      if (telling.seq != seq || telling.is_late) continue;
      telling.duplicate.push_back(asker);
      return true;
    }
  }
  if (!may_tell(channel)) {
    answer(asker, channel, std::unexpected(overload_error()));
    return true;
  }
  return tell_absent(handle, channel, kinds::event_of(channel.history().at(seq).body, 0),
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
  if (!told.error && !told.is_late && channel.keys() && channel.history().holds(told.seq))
    all_told.insert(told.seq);
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

}  // namespace tidewire::hub
