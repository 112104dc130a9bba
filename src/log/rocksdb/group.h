// Carries out what the shards have submitted, in groups: stage everything into one write batch, write it
// once, then say what became of it. Included by this folder's sources only; on the engine's thread.
//
// Invariant: a channel's `stored` is what a reader of the disk would find, its `staged` what will be
// there once the group is written; outside carry_out() the two are equal. Outcomes stand in the order of
// submission from the start, and those that hang on the write are turned into failures if it fails.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "log/rocksdb/page_reader.h"
#include "log/rocksdb/reader.h"
#include "log/rocksdb/store.h"

namespace tidewire::log {

struct ShardTurn {
  std::uint16_t shard = 0;
  std::vector<Operation> operations;
  std::int64_t now_ms = 0;
};
struct SaveRevocation {
  Revocation revocation;
  std::function<void(Result<void>)> saved;
};
struct Sweep {
  std::int64_t now_ms = 0;
};
using Submission = std::variant<ShardTurn, SaveRevocation, Sweep, FoundDamage>;

class Groups {
 public:
  Groups(Store& store, std::vector<RocksdbLog::Sink> sinks, PageReader& pages)
      : store_(store), sinks_(std::move(sinks)), pages_(pages), shards_(sinks_.size()) {}

  void carry_out(std::vector<Submission>&& submissions);

  std::uint64_t groups() const { return groups_.load(std::memory_order_relaxed); }
  std::int64_t last_sync_us() const { return last_sync_us_.load(std::memory_order_relaxed); }  // -1: none yet
  std::uint64_t entries() const { return entries_.load(std::memory_order_relaxed); }

 private:
  struct OpenChannel {
    std::uint64_t id = 0;
    std::string name;
    ChannelRecord stored, staged;
    std::int64_t goes_ms = 0;        // no entry leaves by age before; 0: not known
    std::int64_t keys_check_ms = 0;  // no key needs to be looked at before
    bool touched = false;            // `staged` is to be written with this group
    bool created = false;            // with this group
    bool unborn = false;             // opened lazily; nothing of it is stored before its first Append
    bool read_waits = false;         // for this group's write
  };
  struct Shard {
    std::unordered_map<std::uint64_t, std::unique_ptr<OpenChannel>> open;  // by handle
    std::vector<Outcome> outcomes;                                         // of this group
    std::vector<Operation> deferred;                                       // to the next one
    std::int64_t deferred_now_ms = 0;
  };
  // An outcome that holds only if the group is written.
  struct Uncertain {
    std::uint16_t shard = 0;
    std::size_t index = 0;
    Failed otherwise;
  };
  // A Read that is to find what this group appends, and no more: it goes to the page reader after the write.
  struct LateRead {
    std::uint16_t shard = 0;
    OpenChannel* channel = nullptr;
    Read read;
    std::uint64_t last_seq = 0;
  };
  enum class Staged : bool { no, yes };  // no: it must wait for the next group

  void stage_all(std::vector<Submission>&& submissions);
  void stage(ShardTurn&& turn);
  Staged stage(std::uint16_t shard, Open& open, std::int64_t now_ms);
  Staged stage(std::uint16_t shard, Append& append, std::int64_t now_ms);
  Staged stage(std::uint16_t shard, Read& read, std::int64_t now_ms);
  Staged stage(std::uint16_t shard, SaveMark& save, std::int64_t now_ms);
  Staged stage(std::uint16_t shard, SaveSnapshot& save, std::int64_t now_ms);
  Staged stage(std::uint16_t shard, Retain& retain, std::int64_t now_ms);
  Staged stage(std::uint16_t shard, Close& close, std::int64_t now_ms);
  Staged stage(std::uint16_t shard, List& list, std::int64_t now_ms);
  void stage(SaveRevocation&& save);
  void stage(const Sweep& sweep);
  void stage(const FoundDamage& found);

  OpenChannel* find(std::uint16_t shard, Handle handle);
  void answer(std::uint16_t shard, Outcome outcome) { shards_[shard].outcomes.push_back(std::move(outcome)); }
  void create(OpenChannel& channel, const Open& open);
  void create_later(OpenChannel& channel, const Open& open);
  void bear(OpenChannel& channel);
  void note_under_way(OpenChannel& channel, bool under_way);
  Stored<Opened> load(OpenChannel& channel, const Open& open, std::int64_t now_ms);
  Result<void> mend(OpenChannel& channel, const Open& open, std::int64_t now_ms);

  void touch(OpenChannel& channel);
  // How much may be left of deleted entries before a range delete is worth its tombstone.
  enum class Clear : bool { when_worth_it, all };
  void trim(OpenChannel& channel, std::int64_t now_ms, Clear clear);
  void trim_keys(OpenChannel& channel, std::int64_t now_ms);
  bool nobody_misses(const OpenChannel& channel, std::int64_t now_ms);
  void forget(const OpenChannel& channel);
  void found_damage(OpenChannel& channel, const rocksdb::Status& status);
  void mark_damaged(OpenChannel& channel);

  void commit();
  void fail_uncertain(const Error& error);
  PageWanted page_of(std::uint16_t shard, const OpenChannel& channel, Read&& read, std::uint64_t last_seq);
  void hand_out();
  std::vector<Submission> take_deferred();

  Store& store_;
  std::vector<RocksdbLog::Sink> sinks_;
  PageReader& pages_;
  std::vector<Shard> shards_;
  std::unordered_map<std::uint64_t, OpenChannel*> by_id_;
  std::string sweep_from_;

  // Of the group that is being made:
  rocksdb::WriteBatch batch_;
  Store::Sync sync_ = Store::Sync::no;
  std::vector<OpenChannel*> touched_;
  std::vector<Uncertain> uncertain_;
  std::vector<LateRead> late_reads_;
  std::map<std::string, std::int64_t> revoked_;
  std::vector<std::function<void(Result<void>)>> saved_;
  std::size_t entries_staged_ = 0;

  std::atomic<std::uint64_t> groups_ = 0;
  std::atomic<std::uint64_t> entries_ = 0;
  std::atomic<std::int64_t> last_sync_us_ = -1;
};

}  // namespace tidewire::log
