// What is behind faulty_file_system.h; it stands in a file of the tests, since only they have it.
#include "log/rocksdb/faulty_file_system.h"

#include <rocksdb/system_clock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "log/rocksdb/store_files.h"

namespace tidewire::log {

namespace {

using Change = FaultyFileSystem::Change;

constexpr std::uint64_t kPage = 4096;

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
  rocksdb::IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return sync(); }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return sync(); }
  rocksdb::IOStatus RangeSync(std::uint64_t, std::uint64_t, const rocksdb::IOOptions&,
                              rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::OK();
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
  rocksdb::IOStatus sync() {
    if (auto judged = files_.judge(Change::sync, path_); !judged.ok()) return judged;
    files_.synced(path_);
    return rocksdb::IOStatus::OK();
  }

  FaultyFileSystem& files_;
  std::string path_;
};

class FaultyDirectory final : public rocksdb::FSDirectoryWrapper {
 public:
  FaultyDirectory(FaultyFileSystem& files, std::string path,
                  std::unique_ptr<rocksdb::FSDirectory>&& directory)
      : FSDirectoryWrapper(std::move(directory)), files_(files), path_(std::move(path)) {}

  rocksdb::IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return sync(); }
  rocksdb::IOStatus FsyncWithDirOptions(const rocksdb::IOOptions&, rocksdb::IODebugContext*,
                                        const rocksdb::DirFsyncOptions&) override {
    return sync();
  }

 private:
  rocksdb::IOStatus sync() {
    if (auto judged = files_.judge(Change::sync, path_); !judged.ok()) return judged;
    files_.names_synced(path_);
    return rocksdb::IOStatus::OK();
  }

  FaultyFileSystem& files_;
  std::string path_;
};

class SleeplessClock final : public rocksdb::SystemClockWrapper {
 public:
  SleeplessClock() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
  const char* Name() const override { return "SleeplessClock"; }
  void SleepForMicroseconds(int) override { std::this_thread::yield(); }
};

class FaultyEnv final : public rocksdb::EnvWrapper {
 public:
  explicit FaultyEnv(const std::shared_ptr<FaultyFileSystem>& files)
      : EnvWrapper(rocksdb::NewCompositeEnv(files)) {
    file_system_ = files;
    system_clock_ = std::make_shared<SleeplessClock>();
  }
  const char* Name() const override { return "FaultyEnv"; }
};

}  // namespace

FaultyMachine::FaultyMachine() : env(std::make_unique<FaultyEnv>(files)) {}

rocksdb::IOStatus FaultyFileSystem::NewWritableFile(const std::string& path,
                                                    const rocksdb::FileOptions& options,
                                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                                    rocksdb::IODebugContext* debug) {
  if (auto judged = judge(Change::name, path); !judged.ok()) return judged;
  std::optional<Gone> before = take_away(path);
  rocksdb::IOStatus made = FileSystemWrapper::NewWritableFile(path, options, file, debug);
  if (!made.ok()) return made;
  {
    const std::lock_guard lock(mutex_);
    files_[path] = {};
    unsafe_names_.push_back(
        {.what = NameChange::What::made, .path = path, .to = {}, .before = std::move(before)});
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

rocksdb::IOStatus FaultyFileSystem::NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                                 rocksdb::IODebugContext* debug) {
  rocksdb::IOStatus opened = FileSystemWrapper::NewDirectory(path, options, directory, debug);
  if (opened.ok()) *directory = std::make_unique<FaultyDirectory>(*this, path, std::move(*directory));
  return opened;
}

rocksdb::IOStatus FaultyFileSystem::RenameFile(const std::string& from, const std::string& to,
                                               const rocksdb::IOOptions& options,
                                               rocksdb::IODebugContext* debug) {
  if (auto judged = judge(Change::name, from); !judged.ok()) return judged;
  std::optional<Gone> before = take_away(to);
  rocksdb::IOStatus made = FileSystemWrapper::RenameFile(from, to, options, debug);
  if (!made.ok()) return made;
  const std::lock_guard lock(mutex_);
  if (auto moved = files_.extract(from); !moved.empty()) {
    moved.key() = to;
    files_.insert(std::move(moved));
  }
  unsafe_names_.push_back(
      {.what = NameChange::What::renamed, .path = from, .to = to, .before = std::move(before)});
  return made;
}

rocksdb::IOStatus FaultyFileSystem::DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                                               rocksdb::IODebugContext* debug) {
  if (auto judged = judge(Change::name, path); !judged.ok()) return judged;
  std::optional<Gone> before = take_away(path);
  rocksdb::IOStatus made = FileSystemWrapper::DeleteFile(path, options, debug);
  const std::lock_guard lock(mutex_);
  if (made.ok())
    unsafe_names_.push_back(
        {.what = NameChange::What::removed, .path = path, .to = {}, .before = std::move(before)});
  return made;
}

std::optional<FaultyFileSystem::Gone> FaultyFileSystem::take_away(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) return std::nullopt;
  Gone gone{.bytes = read_file(path), .file = {}};
  const std::lock_guard lock(mutex_);
  if (auto file = files_.extract(path); !file.empty()) gone.file = file.mapped();
  return gone;
}

void FaultyFileSystem::bring_back(const std::string& path, const Gone& gone) {
  std::ofstream(path, std::ios::binary) << gone.bytes;
  if (gone.file) files_[path] = *gone.file;
}

void FaultyFileSystem::names_synced(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  std::erase_if(unsafe_names_, [&](const NameChange& change) {
    return std::filesystem::path(change.path).parent_path() == std::filesystem::path(directory);
  });
}

void FaultyFileSystem::undo(const NameChange& change) {
  std::error_code ignored;
  if (change.what == NameChange::What::made) {
    std::filesystem::remove(change.path, ignored);
    files_.erase(change.path);
  } else if (change.what == NameChange::What::renamed) {
    std::filesystem::rename(change.to, change.path, ignored);
    if (auto moved = files_.extract(change.to); !moved.empty()) {
      moved.key() = change.path;
      files_.insert(std::move(moved));
    }
  }
  const std::string& had = change.what == NameChange::What::renamed ? change.to : change.path;
  if (change.before) bring_back(had, *change.before);
}

std::uint64_t FaultyFileSystem::synced_bytes(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(path);
  return found == files_.end() ? std::filesystem::file_size(path) : found->second.synced;
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
  unsafe_names_.clear();
  judge_ = nullptr;
}

void FaultyFileSystem::lose_power(std::mt19937& random) {
  const std::lock_guard lock(mutex_);
  for (std::size_t lost = random() % (unsafe_names_.size() + 1); lost > 0; --lost) {
    undo(unsafe_names_.back());
    unsafe_names_.pop_back();
  }
  for (const auto& [path, file] : files_) {
    if (file.synced == file.size || !std::filesystem::exists(path)) continue;
    std::uint64_t kept = file.size;
    if (random() % 4 != 0) kept = file.synced + random() % (file.size - file.synced + 1);
    std::filesystem::resize_file(path, kept);
    if (path.ends_with(".log") && random() % 2 == 0) scribble(path, file.synced, random);
  }
  files_.clear();
  unsafe_names_.clear();
  judge_ = nullptr;
}

void FaultyFileSystem::scribble(const std::string& path, std::uint64_t from, std::mt19937& random) {
  std::string bytes = read_file(path);
  for (std::uint64_t begin = from; begin < bytes.size();) {
    const std::uint64_t end = std::min<std::uint64_t>((begin / kPage + 1) * kPage, bytes.size());
    const auto fate = random() % 4;
    for (; begin < end; ++begin) {
      if (fate == 0) bytes[begin] = 0;
      if (fate == 1) bytes[begin] = static_cast<char>(random());
    }
  }
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace tidewire::log
