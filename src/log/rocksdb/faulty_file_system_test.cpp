#include "log/rocksdb/faulty_file_system.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "log/log_under_test.h"
#include "log/rocksdb/store_files.h"

namespace tidewire::log {

namespace {

class FaultyFileSystemTest : public ::testing::Test {
 protected:
  std::unique_ptr<rocksdb::FSWritableFile> make(const std::string& name, std::string_view safe,
                                                std::string_view unsafe = "") {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    EXPECT_TRUE(files().NewWritableFile(path(name), {}, &file, nullptr).ok());
    if (!safe.empty()) {
      EXPECT_TRUE(file->Append(rocksdb::Slice(safe), {}, nullptr).ok());
      EXPECT_TRUE(file->Sync({}, nullptr).ok());
    }
    if (!unsafe.empty()) {
      EXPECT_TRUE(file->Append(rocksdb::Slice(unsafe), {}, nullptr).ok());
    }
    return file;
  }
  void sync_names() {
    std::unique_ptr<rocksdb::FSDirectory> directory;
    ASSERT_TRUE(files().NewDirectory(directory_.path(), {}, &directory, nullptr).ok());
    ASSERT_TRUE(directory->Fsync({}, nullptr).ok());
  }
  FaultyFileSystem& files() { return *machine_.files; }
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }

  TestDirectory directory_;
  FaultyMachine machine_;
};

}  // namespace

TEST_F(FaultyFileSystemTest, LosesWhatWasNotSynced) {
  auto file = make("file", "safe", "lost");
  auto never = make("other", "", "lost");
  files().cut_power();
  EXPECT_FALSE(file->Append("too late", {}, nullptr).ok());
  EXPECT_FALSE(file->Sync({}, nullptr).ok());
  file.reset();
  never.reset();
  files().lose_unsynced(0);
  EXPECT_EQ(read_file(path("file")), "safe");
  EXPECT_FALSE(std::filesystem::exists(path("other")));
}

TEST_F(FaultyFileSystemTest, KeepsWhatWasSyncedWhateverElseIsLost) {
  for (std::uint32_t seed = 1; seed <= 30; ++seed) {
    const std::string name = std::to_string(seed) + ".log";
    make(name, std::string(5000, 's'), std::string(20'000, 'u'));
    sync_names();
    std::mt19937 random(seed);
    files().lose_power(random);
    const std::string left = read_file(path(name));
    EXPECT_EQ(left.substr(0, 5000), std::string(5000, 's'));
    EXPECT_LE(left.size(), 25'000u);
  }
}

TEST_F(FaultyFileSystemTest, NamesAreLostFromTheLatestBackToWhereTheyWereSynced) {
  make("old", "old");
  make("gone", "gone");
  sync_names();
  make("new", "new");
  ASSERT_TRUE(files().RenameFile(path("new"), path("old"), {}, nullptr).ok());
  ASSERT_TRUE(files().DeleteFile(path("gone"), {}, nullptr).ok());
  EXPECT_EQ(read_file(path("old")), "new");
  std::set<std::string> seen;
  const auto state = [&] {
    std::string all;
    for (const char* name : {"old", "gone", "new"}) all += read_file(path(name)) + ",";
    return all;
  };
  const std::set<std::string> allowed{"new,,,", "new,gone,,", "old,gone,new,", "old,gone,,"};
  for (std::uint32_t seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    files().lose_power(random);
    EXPECT_TRUE(allowed.contains(state())) << state();
    seen.insert(state());
    make("old", "old");
    make("gone", "gone");
    sync_names();
    make("new", "new");
    ASSERT_TRUE(files().RenameFile(path("new"), path("old"), {}, nullptr).ok());
    ASSERT_TRUE(files().DeleteFile(path("gone"), {}, nullptr).ok());
  }
  EXPECT_EQ(seen, allowed);
}

}  // namespace tidewire::log
