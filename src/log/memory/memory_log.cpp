#include "log/memory/memory_log.h"

#include <algorithm>

namespace tidewire::log {

void MemoryLog::submit(std::uint16_t, std::vector<Operation>&& operations, std::int64_t now_ms) {
  for (Operation& operation : operations)
    std::visit([&](auto&& body) { carry_out(std::move(body), now_ms); }, std::move(operation));
}

MemoryLog::Stored& MemoryLog::stored(Handle channel) {
  const auto found = open_.find(channel.bits());
  TIDEWIRE_CHECK(found != open_.end());
  return *found->second;
}

void MemoryLog::trim(Stored& stored, std::int64_t now_ms) {
  while (!stored.entries.empty()) {
    const Entry& oldest = stored.entries.front();
    if (stored.needs(oldest.seq)) break;
    const bool too_old =
        stored.retention.ttl_ms != 0 && oldest.timestamp_ms + stored.retention.ttl_ms <= now_ms;
    if (!too_old && !oldest.expired(now_ms) && stored.entries.size() <= stored.retention.messages) break;
    stored.entries.pop_front();
  }
  while (!stored.keys.empty() && stored.keys.front().until_ms <= now_ms) stored.keys.pop_front();
}

void MemoryLog::carry_out(Open&& open, std::int64_t now_ms) {
  Stored& stored = channels_[open.name];
  if (stored.epoch.empty()) stored.epoch = std::move(open.epoch);
  stored.retention = open.retention;
  open_[open.channel.bits()] = &stored;
  trim(stored, now_ms);
  std::size_t count = 0, bytes = 0;
  while (count < std::min(open.tail_messages, stored.entries.size()) && bytes < open.tail_bytes)
    bytes += stored.entries[stored.entries.size() - ++count].body.size();
  sink_(Opened{.channel = open.channel,
               .epoch = stored.epoch,
               .first_seq = stored.first_seq(),
               .last_seq = stored.last_seq,
               .tail = {stored.entries.end() - static_cast<std::ptrdiff_t>(count), stored.entries.end()},
               .keys = {stored.keys.begin(), stored.keys.end()},
               .snapshot_seq = stored.snapshot_seq,
               .snapshot = stored.snapshot,
               .mark = stored.mark});
}

void MemoryLog::carry_out(Append&& append, std::int64_t now_ms) {
  Stored& stored = this->stored(append.channel);
  if (append.entries.front().seq != stored.last_seq + 1)
    return sink_(
        Failed{.channel = append.channel,
               .what = Failed::What::append,
               .number = append.number,
               .error = fail(ErrorCode::unavailable, "an earlier message could not be stored").error()});
  for (Entry& entry : append.entries) {
    stored.last_seq = entry.seq;
    stored.entries.push_back(std::move(entry));
  }
  std::ranges::move(append.keys, std::back_inserter(stored.keys));
  if (append.keep_from != 0) stored.keep_from = append.keep_from;
  stored.mark = std::max(stored.mark, append.mark);
  stored.under_way = append.under_way;
  trim(stored, now_ms);
  sink_(Committed{.channel = append.channel, .first_seq = stored.first_seq(), .last_seq = stored.last_seq});
}

void MemoryLog::carry_out(Read&& read, std::int64_t now_ms) {
  Stored& stored = this->stored(read.channel);
  trim(stored, now_ms);
  ReadDone done{
      .channel = read.channel, .number = read.number, .first_seq = stored.first_seq(), .entries = {}};
  std::size_t bytes = 0;
  const std::uint64_t first = std::max(read.after + 1, stored.first_seq());
  const std::uint64_t last = std::min(read.up_to, stored.last_seq);
  for (std::uint64_t seq = first; seq <= last && done.entries.size() < read.messages_max &&
                                  (done.entries.empty() || bytes < read.bytes_max);
       ++seq) {
    done.entries.push_back(stored.entries[seq - stored.first_seq()]);
    bytes += done.entries.back().body.size();
  }
  sink_(std::move(done));
}

void MemoryLog::carry_out(SaveMark&& save, std::int64_t) {
  Stored& stored = this->stored(save.channel);
  stored.mark = std::max(stored.mark, save.mark);
}

void MemoryLog::carry_out(SaveSnapshot&& save, std::int64_t) {
  Stored& stored = this->stored(save.channel);
  // One that is older than what is there would leave a hole between it and the entries that are kept.
  if (save.seq > stored.last_seq || save.seq < stored.snapshot_seq) return;
  stored.snapshot_seq = save.seq;
  stored.snapshot = std::move(save.state);
}

void MemoryLog::carry_out(Retain&& retain, std::int64_t now_ms) {
  Stored& stored = this->stored(retain.channel);
  stored.retention = retain.retention;
  trim(stored, now_ms);
}

void MemoryLog::carry_out(Close&& close, std::int64_t) { open_.erase(close.channel.bits()); }

void MemoryLog::carry_out(List&& list, std::int64_t) {
  Listed listed{.number = list.number, .channels = {}, .looked_to = {}};
  std::string looked_to;
  std::size_t looks = 0;
  for (auto each = channels_.lower_bound(std::max(list.prefix, list.after)); each != channels_.end();
       ++each) {
    const auto& [name, stored] = *each;
    if (!name.starts_with(list.prefix)) break;
    if (name == list.after || (list.of == List::Of::under_way && !stored.under_way)) continue;
    if (looks == list.looks_max || listed.channels.size() == list.channels_max) {
      listed.looked_to = std::move(looked_to);
      break;
    }
    ++looks;
    looked_to = name;
    if (stored.last_seq == 0) continue;
    StoredChannel channel{
        .name = name, .epoch = stored.epoch, .last_seq = stored.last_seq, .keep_from = stored.keep_from};
    if (list.wanted(channel)) listed.channels.push_back(std::move(channel));
  }
  sink_(std::move(listed));
}

void MemoryLog::save_revocation(Revocation revocation, std::function<void(Result<void>)> saved) {
  const auto same_user = [&](const Revocation& other) {
    return other.tenant == revocation.tenant && other.user_id == revocation.user_id;
  };
  const auto found = std::ranges::find_if(revocations_, same_user);
  if (found == revocations_.end())
    revocations_.push_back(std::move(revocation));
  else
    found->before_ms = std::max(found->before_ms, revocation.before_ms);
  saved({});
}

}  // namespace tidewire::log
