// The durable log on RocksDB: one per process, with one thread that all shards submit to, and a second one
// that reads pages for it, so that nobody who reads delays a commit.
//
// The thread takes everything that waits, puts the Appends of all shards and channels into one write
// batch, syncs once, and then hands each shard its outcomes in one call of its sink. While it syncs the
// next group gathers, so the group is as large as the disk is slow, and there is no timer.
// Invariant: after the first write or sync that fails nothing is written again by this object; Appends,
// new channels and revocations fail, Reads and Opens of stored channels go on, and health() says so.
// All public functions may be called on any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "log/log.h"

namespace rocksdb {
class Env;
}

namespace tidewire::log {

class RocksdbLog final : public Log {
 public:
  struct Options {
    std::string path;  // a directory of its own, made where it is missing
    std::size_t cache_bytes = 32u << 20;
    std::size_t write_buffer_bytes = 64u << 20;
    // Bounds what is replayed when the store is opened.
    std::size_t wal_bytes_max = 64u << 20;
    // More than this waiting, and further Appends fail with `unavailable`.
    std::size_t waiting_bytes_max = 64u << 20;
    rocksdb::Env* env = nullptr;  // for tests; null: the machine's
  };

  // Called on the engine's thread, once per group that has outcomes for the shard, and on its reader's
  // thread, once per Read; also while the log is being destroyed. Must not throw, and must not wait for
  // the log.
  using Sink = std::function<void(std::vector<Outcome>&&)>;

  struct Health {
    bool writable = true;
    std::string reason;  // why not, for humans
    std::uint64_t damaged_channels =
        0;               // since opening: given a new epoch, or failed, as their data was damaged
    std::string damage;  // the latest of it, for humans; empty: none
  };

  struct Counts {
    std::uint64_t groups = 0;  // that were synced
    std::uint64_t entries = 0;
    std::int64_t last_sync_us = -1;  // how long the last group took to be written and synced; -1: none yet
  };

  // Opens the store, one sink per shard. The error names the path and says what is wrong: in use by
  // another, damaged, written by another version, no rights, no space. Loads no channel.
  static Result<std::unique_ptr<RocksdbLog>> open(const Options& options, std::vector<Sink> sinks);

  // Carries out what was submitted, with its outcomes, and closes the store. Shards must have stopped
  // submitting; whatever the sinks push into must still be there.
  ~RocksdbLog() override;

  void submit(std::uint16_t shard, std::vector<Operation>&& operations, std::int64_t now_ms) override;
  void save_revocation(Revocation revocation, std::function<void(Result<void>)> saved) override;
  std::vector<Revocation> revocations() override;

  // The next slice of a slow pass over all stored channels, open or not, which drops what is too old, and
  // of those that are closed the channels that never had an entry, or have had none for 30 days: they have
  // a new epoch when they are opened again. To be called about once a second; a slice is some milliseconds
  // of work at most.
  void sweep(std::int64_t now_ms);

  Health health() const;
  Counts counts() const;

 private:
  class Engine;
  explicit RocksdbLog(std::unique_ptr<Engine> engine);
  std::unique_ptr<Engine> engine_;
};

}  // namespace tidewire::log
