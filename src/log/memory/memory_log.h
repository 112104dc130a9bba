// The log in memory: numbering and retention without a disk. One per shard, used on its thread;
// everything is answered before submit() returns.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <unordered_map>

#include "log/log.h"

namespace tidewire::log {

class MemoryLog final : public Log {
 public:
  using Sink = std::function<void(Outcome&&)>;
  explicit MemoryLog(Sink sink) : sink_(std::move(sink)) {}

  void submit(std::uint16_t shard, std::vector<Operation>&& operations, std::int64_t now_ms) override;
  // Those of this shard only, on its thread.
  void save_revocation(Revocation revocation, std::function<void(Result<void>)> saved) override;
  std::vector<Revocation> revocations() override { return revocations_; }

 private:
  struct Stored {
    std::string epoch;
    Retention retention;
    std::uint64_t last_seq = 0;
    std::deque<Entry> entries;
    std::deque<KeyUse> keys;
    std::uint64_t snapshot_seq = 0;
    SharedBytes snapshot;
    std::uint64_t keep_from = 0;  // 0: none
    std::uint64_t mark = 0;
    bool under_way = false;
    std::uint64_t first_seq() const { return last_seq + 1 - entries.size(); }
    bool needs(std::uint64_t seq) const {
      return retention.folded && (seq > snapshot_seq || (keep_from != 0 && seq >= keep_from));
    }
  };

  void carry_out(Open&& open, std::int64_t now_ms);
  void carry_out(Append&& append, std::int64_t now_ms);
  void carry_out(Read&& read, std::int64_t now_ms);
  void carry_out(SaveMark&& save, std::int64_t now_ms);
  void carry_out(SaveSnapshot&& save, std::int64_t now_ms);
  void carry_out(Retain&& retain, std::int64_t now_ms);
  void carry_out(Close&& close, std::int64_t now_ms);
  void carry_out(List&& list, std::int64_t now_ms);
  Stored& stored(Handle channel);
  static void trim(Stored& stored, std::int64_t now_ms);

  Sink sink_;
  std::map<std::string, Stored> channels_;
  std::unordered_map<std::uint64_t, Stored*> open_;  // by handle
  std::vector<Revocation> revocations_;
};

}  // namespace tidewire::log
