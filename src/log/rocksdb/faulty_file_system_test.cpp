#include "log/rocksdb/faulty_file_system.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "log/log_under_test.h"

namespace tidewire::log {

namespace {

using Change = FaultyFileSystem::Change;

class FaultyFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyFile(FaultyFileSystem& files, std::string path, std::unique_ptr<rocksdb::FSWritableFile>&& file)
      : FSWritableFileOwnerWrapper(std::move(file)), files_(files), path_(std::move(path)) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    return changed(Change::append, [&] { return FSWritableFileWrapper::Append(data, options, debug); });
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verify,
                           rocksdb::IODebugContext* debug) override {
    return changed(Change::append,
                   [&] { return FSWritableFileWrapper::Append(data, options, verify, debug); });
  }
  rocksdb::IOStatus Truncate(std::uint64_t size, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
    return changed(Change::append, [&] { return FSWritableFileWrapper::Truncate(size, options, debug); });
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return sync([&] { return FSWritableFileWrapper::Sync(options, debug); });
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return sync([&] { return FSWritableFileWrapper::Fsync(options, debug); });
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus closed = FSWritableFileWrapper::Close(options, debug);
    const rocksdb::IOStatus judged = files_.judge(Change::close, path_);
    return judged.ok() ? closed : judged;
  }

 private:
  template <class Make>
  rocksdb::IOStatus changed(Change change, Make make) {
    if (auto judged = files_.judge(change, path_); !judged.ok()) return judged;
    rocksdb::IOStatus made = make();
    files_.wrote(path_, GetFileSize(rocksdb::IOOptions(), nullptr));
    return made;
  }
  template <class Make>
  rocksdb::IOStatus sync(Make make) {
    if (auto judged = files_.judge(Change::sync, path_); !judged.ok()) return judged;
    rocksdb::IOStatus made = make();
    if (made.ok()) files_.synced(path_);
    return made;
  }

  FaultyFileSystem& files_;
  std::string path_;
};

}  // namespace

rocksdb::IOStatus FaultyFileSystem::NewWritableFile(const std::string& path,
                                                    const rocksdb::FileOptions& options,
                                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                                    rocksdb::IODebugContext* debug) {
  if (auto judged = judge(Change::name, path); !judged.ok()) return judged;
  rocksdb::IOStatus made = FileSystemWrapper::NewWritableFile(path, options, file, debug);
  if (!made.ok()) return made;
  {
    const std::lock_guard lock(mutex_);
    files_[path] = {};
  }
  *file = std::make_unique<FaultyFile>(*this, path, std::move(*file));
  return made;
}

rocksdb::IOStatus FaultyFileSystem::ReopenWritableFile(const std::string& path, const rocksdb::FileOptions&,
                                                       std::unique_ptr<rocksdb::FSWritableFile>*,
                                                       rocksdb::IODebugContext*) {
  return rocksdb::IOStatus::NotSupported("reopening " + path);
}

rocksdb::IOStatus FaultyFileSystem::ReuseWritableFile(const std::string& path, const std::string&,
                                                      const rocksdb::FileOptions&,
                                                      std::unique_ptr<rocksdb::FSWritableFile>*,
                                                      rocksdb::IODebugContext*) {
  return rocksdb::IOStatus::NotSupported("using again " + path);
}

rocksdb::IOStatus FaultyFileSystem::RenameFile(const std::string& from, const std::string& to,
                                               const rocksdb::IOOptions& options,
                                               rocksdb::IODebugContext* debug) {
  if (auto judged = judge(Change::name, from); !judged.ok()) return judged;
  rocksdb::IOStatus made = FileSystemWrapper::RenameFile(from, to, options, debug);
  const std::lock_guard lock(mutex_);
  if (auto moved = files_.extract(from); made.ok() && !moved.empty()) {
    files_.erase(to);
    moved.key() = to;
    files_.insert(std::move(moved));
  }
  return made;
}

rocksdb::IOStatus FaultyFileSystem::DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                                               rocksdb::IODebugContext* debug) {
  if (auto judged = judge(Change::name, path); !judged.ok()) return judged;
  const std::lock_guard lock(mutex_);
  files_.erase(path);
  return FileSystemWrapper::DeleteFile(path, options, debug);
}

void FaultyFileSystem::lose_unsynced(std::uint64_t torn) {
  const std::lock_guard lock(mutex_);
  for (const auto& [path, file] : files_) {
    std::error_code ignored;
    const std::uint64_t kept = std::min(file.synced + torn, file.size);
    if (file.synced == 0 && torn == 0)
      std::filesystem::remove(path, ignored);
    else if (std::filesystem::exists(path, ignored) && std::filesystem::file_size(path, ignored) > kept)
      std::filesystem::resize_file(path, kept, ignored);
  }
  files_.clear();
  judge_ = nullptr;
}

TEST(FaultyFileSystem, LosesWhatWasNotSynced) {
  const TestDirectory directory;
  FaultyMachine machine;
  const std::string path = directory.path() + "/file", other = directory.path() + "/other";
  std::unique_ptr<rocksdb::FSWritableFile> file;
  ASSERT_TRUE(machine.files->NewWritableFile(path, {}, &file, nullptr).ok());
  ASSERT_TRUE(file->Append("safe", {}, nullptr).ok());
  ASSERT_TRUE(file->Sync({}, nullptr).ok());
  ASSERT_TRUE(file->Append("lost", {}, nullptr).ok());
  std::unique_ptr<rocksdb::FSWritableFile> never;
  ASSERT_TRUE(machine.files->NewWritableFile(other, {}, &never, nullptr).ok());
  ASSERT_TRUE(never->Append("lost", {}, nullptr).ok());
  machine.files->cut_power();
  EXPECT_FALSE(file->Append("too late", {}, nullptr).ok());
  EXPECT_FALSE(file->Sync({}, nullptr).ok());
  file.reset();
  never.reset();
  machine.files->lose_unsynced(0);
  EXPECT_EQ(std::filesystem::file_size(path), 4u);
  EXPECT_FALSE(std::filesystem::exists(other));
}

}  // namespace tidewire::log
