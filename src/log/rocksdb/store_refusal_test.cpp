// Stores that are not opened: each with a message that names the directory, and none changed by it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log/rocksdb/store_rig.h"

namespace tidewire::log {

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

class StoreOpening : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kEntries = 50;

  // Part of it in tables, part in the write-ahead log.
  void fill() {
    rig_.open();
    rig_.open_channel(kOne, "t/a");
    for (std::uint64_t seq = 1; seq <= kEntries; ++seq) {
      if (seq == kEntries / 2) {
        rig_.open();
        rig_.open_channel(kOne, "t/a");
      }
      rig_.append(kOne, seq, std::string(1000, 'x'));
    }
    rig_.log.reset();
  }
  void expect_whole() {
    rig_.open();
    EXPECT_EQ(rig_.open_channel(kOne, "t/a", "e2").epoch, "e1");
    Outcome outcome = rig_.read(kOne, 0);
    EXPECT_EQ(as<ReadDone>(outcome).entries.size(), kEntries);
    rig_.log.reset();
  }
  void expect_refused(const std::string& why) {
    const auto opened = rig_.try_open();
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().message, AllOf(HasSubstr(why), HasSubstr(rig_.options.path)));
  }
  // The file is spoiled, which is refused, and then put back, after which nothing is missing.
  void expect_damaged_without(const fs::path& file, const std::function<void()>& spoil) {
    SCOPED_TRACE(file);
    const fs::path kept = rig_.options.path + "-kept";
    fs::copy_file(file, kept, fs::copy_options::overwrite_existing);
    spoil();
    for (int round = 0; round < 2; ++round) expect_refused("is damaged");
    fs::copy_file(kept, file, fs::copy_options::overwrite_existing);
    expect_whole();
  }
  fs::path manifest() const {
    for (const auto& file : fs::directory_iterator(rig_.options.path))
      if (file.path().filename().string().starts_with("MANIFEST")) return file.path();
    return {};
  }
  fs::path current() const { return rig_.options.path + "/CURRENT"; }

  StoreRig rig_;
};

}  // namespace

TEST_F(StoreOpening, RefusesOneThatIsOpenAlready) {
  rig_.open();
  expect_refused("locked by another");
}

TEST_F(StoreOpening, RefusesOneThatAnotherProcessHasOpen) {
  fill();
  int locked[2], done[2];
  ASSERT_EQ(pipe(locked) | pipe(done), 0);
  const std::string path = rig_.options.path + "/LOCK";
  const pid_t other = fork();
  if (other == 0) {
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    const int file = ::open(path.c_str(), O_RDWR);
    char state = fcntl(file, F_SETLK, &lock) == 0 ? 'y' : 'n';
    close(done[1]);
    if (write(locked[1], &state, 1) == 1) (void)!read(done[0], &state, 1);
    _exit(0);
  }
  char state = 0;
  ASSERT_EQ(read(locked[0], &state, 1), 1);
  EXPECT_EQ(state, 'y');
  expect_refused("locked by another");
  close(done[1]);
  waitpid(other, nullptr, 0);
  for (const int end : {locked[0], locked[1], done[0]}) close(end);
  expect_whole();
}

TEST_F(StoreOpening, RefusesAPathThatIsNoDirectory) {
  write_file(rig_.options.path, "a file");
  expect_refused("cannot be made");
}

TEST_F(StoreOpening, RefusesOneOfAnotherVersion) {
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* raw = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, rig_.options.path, &raw).ok());
  ASSERT_TRUE(raw->Put({}, "format", "tidewire-log-99").ok());
  delete raw;
  expect_refused("another version");
}

TEST_F(StoreOpening, RefusesOneWhoseManifestIsDamaged) {
  fill();
  const fs::path file = manifest();
  expect_damaged_without(file, [&] { flip_byte(file, fs::file_size(file) / 2); });
  const fs::path next = manifest();
  expect_damaged_without(next, [&] { fs::resize_file(next, 0); });
}

TEST_F(StoreOpening, RefusesOneWhoseManifestIsMissing) {
  fill();
  const fs::path file = manifest();
  expect_damaged_without(file, [&] { fs::remove(file); });
}

TEST_F(StoreOpening, RefusesOneWhoseFileCurrentIsDamaged) {
  fill();
  for (const char* text : {"", "\n", "MANIFEST", "rubbish\n", "MANIFEST-999999\n"})
    expect_damaged_without(current(), [&] { write_file(current(), text); });
}

TEST_F(StoreOpening, RefusesOneWhoseFileCurrentIsMissing) {
  fill();
  expect_damaged_without(current(), [&] { fs::remove(current()); });
}

TEST_F(StoreOpening, RefusesTablesWithoutTheFileCurrentAndLeavesThem) {
  fill();
  rig_.open();
  rig_.log.reset();
  fs::remove(current());
  for (const auto& file : fs::directory_iterator(rig_.options.path))
    if (file.path().extension() == ".log") fs::remove(file.path());
  const auto tables = files_of(rig_.options.path, ".sst");
  EXPECT_FALSE(tables.empty());
  expect_refused("CURRENT is missing");
  EXPECT_EQ(files_of(rig_.options.path, ".sst"), tables);
}

TEST_F(StoreOpening, RefusesOneThatHasLostATable) {
  fill();
  for (const fs::path& table : files_of(rig_.options.path, ".sst"))
    if (fs::exists(table)) expect_damaged_without(table, [&] { fs::remove(table); });
}

TEST_F(StoreOpening, RefusesOneWhoseWriteAheadLogIsDamaged) {
  fill();
  const fs::path file = files_of(rig_.options.path, ".log").back();
  expect_damaged_without(file, [&] { flip_byte(file, fs::file_size(file) / 2); });
}

TEST_F(StoreOpening, RefusesOneOnAFullDiskUntilThereIsRoom) {
  fill();
  rig_.machine.files->set_judge([](FaultyFileSystem::Change change, const std::string&) {
    return change == FaultyFileSystem::Change::append ? rocksdb::IOStatus::NoSpace("the disk is full")
                                                      : rocksdb::IOStatus::OK();
  });
  for (int round = 0; round < 2; ++round) expect_refused("the disk is full");
  rig_.machine.files->set_judge(nullptr);
  expect_whole();
}

TEST_F(StoreOpening, BeginsANewOneWhereTheFirstBeginningWasCutOff) {
  fs::create_directories(rig_.options.path);
  write_file(rig_.options.path + "/MANIFEST-000001", "its beginn");
  rig_.open();
  EXPECT_EQ(rig_.open_channel(kOne, "t/a").last_seq, 0u);
}

}  // namespace tidewire::log
