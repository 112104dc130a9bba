// A group from its staging to the answers. What the operations stage is in group_operations.cpp.
#include "log/rocksdb/group.h"

#include <chrono>

namespace tidewire::log {

void Groups::carry_out(std::vector<Submission>&& submissions) {
  while (!submissions.empty()) {
    stage_all(std::move(submissions));
    commit();
    std::vector<PageWanted> pages;
    for (LateRead& late : std::exchange(late_reads_, {})) {
      late.channel->read_waits = false;
      pages.push_back(page_of(late.shard, *late.channel, std::move(late.read), late.last_seq));
    }
    submissions = take_deferred();
    hand_out();
    // Behind the answers to the appends that they find.
    for (PageWanted& page : pages) pages_.add(std::move(page));
  }
}

void Groups::stage_all(std::vector<Submission>&& submissions) {
  // The sweep goes last: it must leave alone the channels that this group opens.
  for (Submission& submission : submissions) {
    if (auto* turn = std::get_if<ShardTurn>(&submission)) stage(std::move(*turn));
    if (auto* save = std::get_if<SaveRevocation>(&submission)) stage(std::move(*save));
    if (const auto* found = std::get_if<FoundDamage>(&submission)) stage(*found);
  }
  const Sweep* sweep = nullptr;
  for (const Submission& submission : submissions)
    if (const auto* latest = std::get_if<Sweep>(&submission)) sweep = latest;
  if (sweep) stage(*sweep);
}

void Groups::stage(ShardTurn&& turn) {
  Shard& shard = shards_[turn.shard];
  for (Operation& operation : turn.operations) {
    const bool waits =
        !shard.deferred.empty() ||
        std::visit([&](auto& body) { return stage(turn.shard, body, turn.now_ms); }, operation) == Staged::no;
    if (!waits) continue;
    shard.deferred.push_back(std::move(operation));
    shard.deferred_now_ms = turn.now_ms;
  }
}

void Groups::commit() {
  for (OpenChannel* channel : touched_) {
    const std::string record = encode_record(channel->staged);
    batch_.Put(store_.channels(), channel_key(channel->id), record);
  }
  Result<void> written;
  const auto began = std::chrono::steady_clock::now();
  if (batch_.Count() > 0) written = store_.write(batch_, sync_);
  for (OpenChannel* channel : touched_) {
    if (written)
      channel->stored = channel->staged;
    else
      channel->staged = channel->stored;
    channel->touched = false;
  }
  if (!written) fail_uncertain(written.error());
  for (const auto& saved : saved_) saved(written);
  if (written && sync_ == Store::Sync::yes) {
    const auto took = std::chrono::steady_clock::now() - began;
    last_sync_us_.store(std::chrono::duration_cast<std::chrono::microseconds>(took).count(),
                        std::memory_order_relaxed);
    groups_.fetch_add(1, std::memory_order_relaxed);
    entries_.fetch_add(entries_staged_, std::memory_order_relaxed);
  }
  batch_.Clear();
  sync_ = Store::Sync::no;
  uncertain_.clear();
  revoked_.clear();
  saved_.clear();
  entries_staged_ = 0;
}

void Groups::fail_uncertain(const Error& error) {
  for (Uncertain& uncertain : uncertain_) {
    uncertain.otherwise.error = error;
    shards_[uncertain.shard].outcomes[uncertain.index] = std::move(uncertain.otherwise);
  }
}

// For the page reader, of the store as it is now.
PageWanted Groups::page_of(std::uint16_t shard, const OpenChannel& channel, Read&& read,
                           std::uint64_t last_seq) {
  rocksdb::DB& db = store_.db();
  return {.shard = shard,
          .read = std::move(read),
          .id = channel.id,
          .name = channel.name,
          .first_seq = channel.stored.first_seq,
          .last_seq = std::min(last_seq, channel.stored.last_seq),
          .as_of = {db.GetSnapshot(), [&db](const rocksdb::Snapshot* as_of) { db.ReleaseSnapshot(as_of); }}};
}

std::vector<Submission> Groups::take_deferred() {
  std::vector<Submission> submissions;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    Shard& shard = shards_[i];
    if (shard.deferred.empty()) continue;
    submissions.push_back(ShardTurn{.shard = static_cast<std::uint16_t>(i),
                                    .operations = std::move(shard.deferred),
                                    .now_ms = shard.deferred_now_ms});
    shard.deferred.clear();
  }
  return submissions;
}

void Groups::hand_out() {
  // Channels whose making failed were never opened.
  for (OpenChannel* channel : std::exchange(touched_, {})) {
    const bool failed = channel->created && channel->stored.epoch.empty();
    channel->created = false;
    if (!failed) continue;
    by_id_.erase(channel->id);
    for (Shard& shard : shards_)
      std::erase_if(shard.open, [&](const auto& open) { return open.second.get() == channel; });
  }
  for (std::size_t i = 0; i < shards_.size(); ++i)
    if (!shards_[i].outcomes.empty()) sinks_[i](std::exchange(shards_[i].outcomes, {}));
}

}  // namespace tidewire::log
