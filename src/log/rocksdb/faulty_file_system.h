// The machine's file system with faults for tests: writes or syncs that fail, and power that is cut.
//
// What was written to a file counts as safe once the file was synced. After cut_power() every change
// fails; lose_unsynced() then cuts each file back to what was safe and removes files that never were.
// Any thread; lose_unsynced() only when nothing is open any more.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace tidewire::log {

class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  enum class Change : std::uint8_t { append, sync, close, name };  // name: making, renaming, removing
  // Says what becomes of a change to a file; called before it is made.
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
  // `torn` bytes at most of what was not synced stay at the end of each file.
  void lose_unsynced(std::uint64_t torn);

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
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

 private:
  struct File {
    std::uint64_t size = 0;
    std::uint64_t synced = 0;
  };
  std::mutex mutex_;
  Judge judge_;
  std::map<std::string, File> files_;
};

// An Env on such a file system, for RocksdbLog::Options.
struct FaultyMachine {
  std::shared_ptr<FaultyFileSystem> files = std::make_shared<FaultyFileSystem>();
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(files);
};

}  // namespace tidewire::log
