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

Life& Model::life(const std::string& channel, const hub::Namespace& ns, const std::string& epoch,
                  std::int64_t now_us) {
  Channel& known = channels_[channel];
  if (known.lives.empty() || known.lives.back().epoch != epoch) {
    require(std::ranges::find(known.lives, epoch, &Life::epoch) == known.lives.end(),
            "{} has gone back to the epoch {}", channel, epoch);
    require(known.lives.empty() || now_us - known.last_message_us >= kEpochLastsUs,
            "{} has changed its epoch within ten minutes of a message", channel);
    known.lives.push_back({.epoch = epoch, .ns = &ns, .log = {}});
  }
  return known.lives.back();
}

void Model::seen_epoch(const std::string& channel, const hub::Namespace& ns, const std::string& epoch,
                       std::int64_t now_us) {
  life(channel, ns, epoch, now_us);
}

void Model::published(const Asked& asked, const Result<hub::Published>& answer, std::int64_t now_us) {
  const std::string& channel = asked.channel;
  if (!answer) {
    require(asked.ns->durability == hub::Durability::disk, "a publish to {} in memory failed: {}", channel,
            answer.error().message);
    return;
  }
  Life& now = life(channel, *asked.ns, answer->epoch, now_us);
  if (asked.ephemeral) return require(answer->seq == 0, "an ephemeral message in {} has a seq", channel);

  const Key key{channel, answer->epoch, asked.scope, asked.key};
  const auto used = asked.key.empty() ? keys_.end() : keys_.find(key);
  if (used != keys_.end() && used->second.until_us > now_us) {
    require(answer->duplicate && answer->seq == used->second.seq,
            "the key {} in {} stands for seq {}, and was answered with {}{}", asked.key, channel,
            used->second.seq, answer->seq, answer->duplicate ? "" : " as a new message");
    return;
  }
  require(!answer->duplicate, "a new message in {} was taken for a repeat of {}", channel, answer->seq);
  require(answer->seq == now.latest() + 1, "{} numbers {} after {}", channel, answer->seq, now.latest());
  channels_[channel].last_message_us = now_us;
  Life::Written written{.at_us = now_us,
                        .stamped_ms = Schedule::at_time(now_us).unix_ms,
                        .tail = asked.tail,
                        .not_for = asked.not_for};
  if (asked.ttl_ms != 0) written.expires_ms = written.stamped_ms + asked.ttl_ms;
  if (asked.ns->durability == hub::Durability::disk) {
    const log::Entry& entry = stamps_.at(channel).at(answer->seq);
    require(entry.body.view().ends_with(asked.tail), "{} {} was stored as {}", channel, answer->seq,
            entry.body.view());
    written.stamped_ms = entry.timestamp_ms;
    written.expires_ms = entry.expires_ms;
  }
  now.log.push_back(std::move(written));
  // The hub counts the window in whole milliseconds of its clock.
  if (!asked.key.empty()) keys_[key] = {answer->seq, now_us / 1000 * 1000 + window_ms_ * 1000};
}

const Life* Model::current(const std::string& channel) const {
  const auto found = channels_.find(channel);
  return found == channels_.end() ? nullptr : &found->second.lives.back();
}

const Life* Model::find(const std::string& channel, const std::string& epoch) const {
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return nullptr;
  const auto life = std::ranges::find(found->second.lives, epoch, &Life::epoch);
  return life == found->second.lives.end() ? nullptr : &*life;
}

std::vector<std::string> Model::channels() const {
  std::vector<std::string> names;
  for (const auto& [name, channel] : channels_) names.push_back(name);
  return names;
}

}  // namespace tidewire::sim
