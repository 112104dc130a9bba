// The machine's file system with faults for tests: writes or syncs that fail, and power that is cut.
//
// What was written to a file counts as safe once the file was synced, and that a file was made, renamed
// or removed once its directory was. Nothing is really synced, so that tests are quick. After cut_power()
// every change fails; lose_power() or lose_unsynced() then leave what a machine might find when it starts
// again. Any thread; those two only when nothing is open any more.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace tidewire::log {

class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  enum class Change : std::uint8_t { append, sync, close, name };  // name: making, renaming, removing
  // Says what becomes of a change to a file or (sync) directory; called before it is made.
  using Judge = std::function<rocksdb::IOStatus(Change, const std::string& path)>;

  FaultyFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultyFileSystem"; }

  // Null: all goes well.
  void set_judge(Judge judge) {
    const std::lock_guard lock(mutex_);
    judge_ = std::move(judge);
  }
  void cut_power() {
    set_judge([](Change, const std::string&) { return rocksdb::IOStatus::IOError("the power is cut"); });
  }
  // Data that was not synced is gone, but for `torn` bytes at most of each file. Names stay.
  void lose_unsynced(std::uint64_t torn);
  // Of the names changed since their directory was synced a random part, the latest, is as before; of data
  // that was not synced any part is gone, and in a write-ahead log any of its pages may hold zeros or
  // rubbish. Not so in a manifest, which RocksDB rightly refuses then.
  void lose_power(std::mt19937& random);

  // How much of a file is safe; of one that was there before, all.
  std::uint64_t synced_bytes(const std::string& path);

  rocksdb::IOStatus judge(Change change, const std::string& path) {
    const std::lock_guard lock(mutex_);
    return judge_ ? judge_(change, path) : rocksdb::IOStatus::OK();
  }
  void wrote(const std::string& path, std::uint64_t size) {
    const std::lock_guard lock(mutex_);
    files_[path].size = size;
  }
  void synced(const std::string& path) {
    const std::lock_guard lock(mutex_);
    files_[path].synced = files_[path].size;
  }
  void names_synced(const std::string& directory);

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReuseWritableFile(const std::string& path, const std::string& old,
                                      const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

 private:
  struct File {
    std::uint64_t size = 0;
    std::uint64_t synced = 0;
  };
  // A file as it was when its name went.
  struct Gone {
    std::string bytes;
    std::optional<File> file;  // nothing: it was safe as a whole
  };
  struct NameChange {
    enum class What : std::uint8_t { made, renamed, removed } what = What::made;
    std::string path;
    std::string to;              // where it was renamed to
    std::optional<Gone> before;  // what had the name, or what the new name had
  };

  std::optional<Gone> take_away(const std::string& path);
  void bring_back(const std::string& path, const Gone& gone);
  void undo(const NameChange& change);
  void scribble(const std::string& path, std::uint64_t from, std::mt19937& random);

  std::mutex mutex_;
  Judge judge_;
  std::map<std::string, File> files_;
  std::vector<NameChange> unsafe_names_;  // in the order in which they were made
};

// An Env on such a file system, for RocksdbLog::Options. It never sleeps: RocksDB does for a second after
// a failure in the background.
struct FaultyMachine {
  FaultyMachine();
  std::shared_ptr<FaultyFileSystem> files = std::make_shared<FaultyFileSystem>();
  std::unique_ptr<rocksdb::Env> env;
};

}  // namespace tidewire::log
