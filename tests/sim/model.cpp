#include "model.h"

#include <algorithm>

#include "journal.h"
#include "schedule.h"

namespace tidewire::sim {

namespace {
constexpr std::int64_t kEpochLastsUs = std::int64_t{600} * 1'000'000;  // protocol §7
}

std::uint64_t Life::latest_at(std::int64_t us) const {
  const auto after = std::ranges::upper_bound(log, us, {}, &Written::at_us);
  return static_cast<std::uint64_t>(after - log.begin());
}

bool Life::expired_at(std::uint64_t seq, std::int64_t us) const {
  const Written& written = log[seq - 1];
  return written.expires_ms != 0 && written.expires_ms <= Schedule::at_time(us).unix_ms;
}

std::uint64_t Life::first_kept_at(std::int64_t us) const {
  const std::uint64_t last = latest_at(us);
  std::uint64_t first = last > ns->history_messages ? last - ns->history_messages + 1 : 1;
  const std::int64_t now_ms = Schedule::at_time(us).unix_ms;
  while (first <= last) {
    const bool too_old = ns->history_ttl_ms != 0 && log[first - 1].stamped_ms + ns->history_ttl_ms <= now_ms;
    if (!too_old && !expired_at(first, us)) break;
    ++first;
  }
  return first;
}

nlohmann::json Life::event(std::uint64_t seq) const {
  const Written& written = log[seq - 1];
  auto event = nlohmann::json::parse("{" + written.tail);
  event["seq"] = seq;
  event["timestamp"] = written.stamped_ms;
  return event;
}

const KindState& Life::state_at(std::uint64_t seq) const {
  if (states.empty()) states.emplace_back(ns->kind);
  while (states.size() <= seq) {
    KindState next = states.back();
    next.apply(event(states.size()), log[states.size() - 1].expires_ms);
    states.push_back(std::move(next));
  }
  return states[seq];
}

Life& Model::life(const std::string& channel, const hub::Namespace& ns, const std::string& epoch,
                  std::int64_t now_us) {
  Channel& known = channels_[channel];
  if (known.lives.empty() || known.lives.back().epoch != epoch) {
    require(std::ranges::find(known.lives, epoch, &Life::epoch) == known.lives.end(),
            "{} has gone back to the epoch {}", channel, epoch);
    require(known.lives.empty() || known.ended || now_us - known.last_message_us >= kEpochLastsUs,
            "{} has changed its epoch within ten minutes of a message", channel);
    known.lives.push_back({.epoch = epoch, .ns = &ns, .log = {}});
    known.ended = false;
  }
  require(!known.ended, "{} has kept its epoch {}, and not its messages", channel, epoch);
  return known.lives.back();
}

void Model::seen_epoch(const std::string& channel, const hub::Namespace& ns, const std::string& epoch,
                       std::int64_t now_us) {
  life(channel, ns, epoch, now_us);
}

// ---- what becomes true ----

void Model::write(const std::string& channel, Life& life, Life::Written written, const log::KeyUse* key,
                  std::int64_t now_us) {
  const std::uint64_t seq = life.latest() + 1;
  if (key != nullptr) {
    Use& use = keys_[{channel, life.epoch, key->name}];
    require(use.seq == 0 || use.until_ms <= written.stamped_ms,
            "the key of {} in {} stands for seq {} already", seq, channel, use.seq);
    use = {seq, key->until_ms, std::max(key->until_ms, Schedule::at_time(now_us).unix_ms + window_ms_)};
  }
  if (const auto found = unechoed_.find({channel, written.tail}); found != unechoed_.end())
    written.not_for = found->second;
  life.log.push_back(std::move(written));
  channels_[channel].last_message_us = now_us;
}

void Model::appended(const std::string& channel, const log::Append& append) {
  for (const log::Entry& entry : append.entries) {
    Stamp& stamp = stamps_[channel][entry.seq] = {entry, {}};
    for (const log::KeyUse& key : append.keys)
      if (key.seq == entry.seq) stamp.key = key;
  }
}

void Model::write_stamp(const std::string& channel, Life& life, std::uint64_t seq, std::int64_t now_us) {
  const Stamp& stamp = stamps_.at(channel).at(seq);
  const std::string head = fmt::format("\"seq\":{},\"timestamp\":{},", seq, stamp.entry.timestamp_ms);
  require(stamp.entry.body.view().starts_with(head), "{} {} was stored as {}", channel, seq,
          stamp.entry.body.view());
  write(channel, life,
        {.at_us = now_us,
         .stamped_ms = stamp.entry.timestamp_ms,
         .expires_ms = stamp.entry.expires_ms,
         .tail = std::string(stamp.entry.body.view().substr(head.size()))},
        stamp.key ? &*stamp.key : nullptr, now_us);
}

void Model::opened(const std::string& channel, const hub::Namespace& ns, const log::Opened& opened,
                   std::int64_t now_us) {
  const Life& now = life(channel, ns, opened.epoch, now_us);
  require(opened.last_seq == now.latest(), "the log of {} stands at {}, and {} were committed", channel,
          opened.last_seq, now.latest());
}

void Model::committed(const std::string& channel, std::uint64_t last_seq, std::int64_t now_us) {
  Life& now = channels_.at(channel).lives.back();
  while (now.latest() < last_seq) write_stamp(channel, now, now.latest() + 1, now_us);
}

void Model::crashed() {
  for (auto& [name, channel] : channels_)
    channel.ended = channel.lives.back().ns->durability == hub::Durability::memory;
}

void Model::found_on_disk(const std::string& channel, const hub::Namespace& ns, const log::Opened& opened,
                          std::int64_t now_us) {
  Life& now = life(channel, ns, opened.epoch, now_us);
  require(opened.last_seq >= now.latest(), "{} had {} messages that were told of, and the disk holds {}",
          channel, now.latest(), opened.last_seq);
  while (now.latest() < opened.last_seq) write_stamp(channel, now, now.latest() + 1, now_us);
  for (const log::Entry& entry : opened.tail)
    require(entry.body.view().ends_with(now.log[entry.seq - 1].tail), "{} {} is {} on the disk", channel,
            entry.seq, entry.body.view());
}

void Model::acked(const std::string& channel, const hub::Namespace& ns, const std::string& tail,
                  std::uint64_t connection, const hub::Acked& answer, std::int64_t now_us) {
  const bool in_memory = ns.durability == hub::Durability::memory;
  Channel& known = channels_.at(channel);
  Life& now = known.lives.back();
  const std::int64_t now_ms = Schedule::at_time(now_us).unix_ms;
  if (answer.seq != 0 && in_memory) {
    require(answer.seq == now.latest() + 1, "{} numbers an ack {} after {}", channel, answer.seq,
            now.latest());
    write(channel, now, {.at_us = now_us, .stamped_ms = now_ms, .tail = tail}, nullptr, now_us);
  }
  const std::uint64_t seq = answer.seq != 0 ? answer.seq : now.latest();
  if (answer.seq != 0) {
    require(answer.seq <= now.latest(), "an ack of {} has the seq {}", channel, answer.seq);
    Life::Written& written = now.log[seq - 1];
    require(written.tail == tail && !written.answered, "the ack {} of {} is {}", seq, channel, written.tail);
    written.answered = true;
    written.not_for = connection;
    const auto& before = now.state_at(seq - 1).pending();
    for (const std::uint64_t acked : answer.seqs)
      require(std::ranges::any_of(before,
                                  [&](const auto& entry) {
                                    return entry.seq == acked && entry.expires_ms > written.stamped_ms;
                                  }),
              "{} of {} was acked, and was not pending", acked, channel);
  }
  const auto still_there = [&](std::int64_t ms) {
    return static_cast<std::size_t>(std::ranges::count_if(
        now.state_at(seq).pending(), [&](const auto& entry) { return entry.expires_ms > ms; }));
  };
  require(answer.pending >= still_there(now_ms) && answer.pending <= now.state_at(seq).pending().size(),
          "{} are said to be pending in {}", answer.pending, channel);
}

void Model::orphaned(const std::string& channel, std::int64_t now_us) {
  Life& now = channels_.at(channel).lives.back();
  write(channel, now,
        {.at_us = now_us,
         .stamped_ms = Schedule::at_time(now_us).unix_ms,
         .tail = R"("event":"fail","data":{"reason":"orphaned"}})"},
        nullptr, now_us);
}

void Model::taken(const Asked& asked, std::uint64_t seq, std::int64_t now_us) {
  Life& now = channels_.at(asked.channel).lives.back();
  const std::int64_t now_ms = Schedule::at_time(now_us).unix_ms;
  require(seq == now.latest() + 1 && !asked.ephemeral, "{} numbers {} after {}", asked.channel, seq,
          now.latest());
  const log::KeyUse use{asked.scope + '\0' + asked.key, seq, now_ms + window_ms_};
  write(asked.channel, now,
        {.at_us = now_us,
         .stamped_ms = now_ms,
         .expires_ms = asked.ttl_ms == 0 ? 0 : now_ms + asked.ttl_ms,
         .tail = asked.tail},
        asked.key.empty() ? nullptr : &use, now_us);
}

void Model::published(const Asked& asked, const Result<hub::Published>& answer, std::int64_t now_us) {
  const std::string& channel = asked.channel;
  if (!answer) return check_refusal(asked, answer.error());
  Life& now = life(channel, *asked.ns, answer->epoch, now_us);
  if (answer->dropped) {
    const int priority = priority_of(nlohmann::json::parse("{" + asked.tail));
    const auto above = std::ranges::count_if(now.state_at(now.latest()).pending(), [&](const auto& entry) {
      return entry.priority < priority && entry.expires_ms > Schedule::at_time(asked.at_us).unix_ms;
    });
    return require(above >= static_cast<std::ptrdiff_t>(kInboxEntries), "{} has dropped {}", channel,
                   asked.tail);
  }
  if (asked.ephemeral) return require(answer->seq == 0, "an ephemeral message in {} has a seq", channel);

  const Key key{channel, answer->epoch, asked.scope + '\0' + asked.key};
  if (answer->duplicate) {
    const auto used = asked.key.empty() ? keys_.end() : keys_.find(key);
    return require(used != keys_.end() && used->second.seq == answer->seq &&
                       used->second.at_most_ms > Schedule::at_time(asked.at_us).unix_ms,
                   "a new message in {} was taken for a repeat of {}", channel, answer->seq);
  }
  require(answer->seq >= 1 && answer->seq <= now.latest(), "{} of {} was never written", answer->seq,
          channel);
  Life::Written& written = now.log[answer->seq - 1];
  require(written.tail == asked.tail && !written.answered, "{} of {} is {}, and not {}", answer->seq, channel,
          written.tail, asked.tail);
  written.answered = true;
  written.not_for = asked.not_for;
  check_rules(asked, now, answer->seq);
}

// What a kind must have looked at before it took an event (protocol §7).
void Model::check_rules(const Asked& asked, const Life& life, std::uint64_t seq) const {
  using hub::Kind;
  require(!asked.if_seq || *asked.if_seq == seq - 1, "{} took {} where {} was asked for", asked.channel,
          seq - 1, asked.if_seq.value_or(0));
  const Kind kind = asked.ns->kind;
  if (kind == Kind::stream || kind == Kind::document || asked.server) return;
  const KindState& before = life.state_at(seq - 1);
  const bool may_cancel = kind == Kind::agent && asked.ns->subscribe == hub::Access::authenticated &&
                          life.event(seq).value("event", "") == "cancel" && !asked.user.empty();
  if (kind == Kind::upload || kind == Kind::agent)
    return require(may_cancel || before.creator().empty() || before.creator() == asked.user,
                   "{} of {} is by {}, and its creator is {}", seq, asked.channel, asked.user,
                   before.creator());
  require(kind == Kind::session, "{} has published to the inbox {}", asked.user, asked.channel);
  const auto event = life.event(seq);
  const std::string name = event.value("event", "");
  const bool leads = before.owner() == asked.user;
  if (name == "join") {
    const auto& data = event.at("data");
    const bool other = data.is_object() && data.contains("user") && user_text(data.at("user")) != asked.user;
    return require(leads || (!other && (asked.ns->open_join || before.members().empty() ||
                                        before.is_member(asked.user))),
                   "{} has joined {}: {}", asked.user, asked.channel, event.dump());
  }
  require(before.is_member(asked.user), "{} is no member of {} and published {}", asked.user, asked.channel,
          event.dump());
  if (name == "edit" || name == "delete")
    require(leads || before.author_of(event.at("data").at("seq")) == asked.user,
            "{} has changed another's {} in {}", asked.user, event.dump(), asked.channel);
}

void Model::check_refusal(const Asked& asked, const Error& error) const {
  const bool in_memory = asked.ns->durability == hub::Durability::memory;
  // A message in a session is answered once it is in the inboxes of those who are away.
  const bool tells_others = asked.ns->kind == hub::Kind::session;
  require(!in_memory || tells_others ||
              (asked.ns->kind != hub::Kind::stream && error.code != ErrorCode::unavailable),
          "a publish to {} in memory failed: {}", asked.channel, error.message);
  const auto known = channels_.find(asked.channel);
  const Life* now = known == channels_.end() || known->second.ended ? nullptr : &known->second.lives.back();
  const std::uint64_t latest = now == nullptr ? 0 : now->latest();
  if (error.code == ErrorCode::conflict)
    require(error.seq == latest && asked.if_seq && *asked.if_seq != latest,
            "{} was at {} and called it a conflict with {}", asked.channel, latest, error.seq);
  if (error.code != ErrorCode::invalid_event || asked.ns->kind != hub::Kind::document || now == nullptr)
    return;
  // Then the event must be one that can't be applied.
  bool applies = true;
  try {
    KindState state = now->state_at(latest);
    auto event = nlohmann::json::parse("{" + asked.tail);
    event["seq"] = latest + 1;
    state.apply(event, 0);
  } catch (const Inapplicable&) {
    applies = false;
  }
  require(!applies, "{} refused {} because of {}", asked.channel, asked.tail, error.message);
}

const Life* Model::current(const std::string& channel) const {
  const auto found = channels_.find(channel);
  return found == channels_.end() || found->second.ended ? nullptr : &found->second.lives.back();
}

const Life* Model::find(const std::string& channel, const std::string& epoch) const {
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return nullptr;
  const auto life = std::ranges::find(found->second.lives, epoch, &Life::epoch);
  return life == found->second.lives.end() ? nullptr : &*life;
}

std::vector<std::string> Model::channels() const {
  std::vector<std::string> names;
  for (const auto& [name, channel] : channels_)
    if (!channel.ended) names.push_back(name);
  return names;
}

}  // namespace tidewire::sim
