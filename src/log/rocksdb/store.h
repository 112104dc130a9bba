// The RocksDB database behind RocksdbLog: opening, its column families, the one way to write, and what
// is known about its health. Included by this folder's sources only.
//
// Invariant: once failed() it is never written again. write() belongs to the engine's thread; RocksDB's
// own threads report through the listener, so the health has a lock.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "log/rocksdb/encoding.h"
#include "log/rocksdb/rocksdb_log.h"

namespace tidewire::log {

class Store {
 public:
  static Result<std::unique_ptr<Store>> open(const RocksdbLog::Options& options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  rocksdb::DB& db() { return *db_; }
  rocksdb::ColumnFamilyHandle* names() { return families_[1]; }
  rocksdb::ColumnFamilyHandle* channels() { return families_[2]; }
  rocksdb::ColumnFamilyHandle* entries() { return families_[3]; }
  rocksdb::ColumnFamilyHandle* keys() { return families_[4]; }
  rocksdb::ColumnFamilyHandle* snapshots() { return families_[5]; }
  rocksdb::ColumnFamilyHandle* revocations() { return families_[6]; }

  // An id that no channel has had. The next write carries it to the disk.
  std::uint64_t take_id() { return next_id_++; }

  // The epoch of a channel that never had an entry: the same each time, also after a restart.
  std::string first_epoch_of(std::string_view name) const;
  // From now on they are others. The batch is to be written.
  void change_first_epochs(rocksdb::WriteBatch& batch);

  enum class Sync : bool { no, yes };
  // All of the batch or nothing. The first failure makes the store read-only.
  Result<void> write(rocksdb::WriteBatch& batch, Sync sync);

  bool failed() const { return health_->failed.load(std::memory_order_acquire); }
  Error failure() const;  // what a write is answered with when failed()
  void note_damage(std::string what);
  RocksdbLog::Health health() const;

 private:
  // Shared with the listener, which RocksDB may call while the store is being closed.
  struct State {
    mutable std::mutex mutex;
    std::atomic<bool> failed = false;
    RocksdbLog::Health health;
    void fail(const std::string& reason);
  };
  class Listener;

  Store() : health_(std::make_shared<State>()) {}
  enum class Tail : bool { whole, cut };
  Result<void> read_header(Tail tail);

  std::shared_ptr<State> health_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  std::uint64_t epoch_seed_ = 0;
  std::uint64_t next_id_ = 1;
  std::uint64_t next_id_written_ = 1;
  std::uint64_t synced_to_ = 0;  // since opening; see torn_tail.h
};

inline rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view view(const rocksdb::Slice& text) { return {text.data(), text.size()}; }

}  // namespace tidewire::log
