// Stores that open after their life was cut off in the middle of a write, and those that do not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "log/rocksdb/store_rig.h"
#include "log/rocksdb/torn_tail.h"

namespace tidewire::log {

namespace {

using ::testing::HasSubstr;

// A store that was cut off when some of its log was not yet synced.
class TornStore : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kSafe = 5;

  static std::string body(std::uint64_t seq) { return std::to_string(seq).append(2000, 'x'); }

  void fill() {
    rig_.open();
    rig_.open_channel(kOne, "t/a");
    for (std::uint64_t seq = 1; seq <= kSafe; ++seq) rig_.append(kOne, seq, body(seq));
  }
  // Ends the store's life in the middle of what these are written with.
  void cut_off(std::vector<Operation> operations) {
    rig_.machine.files->set_judge([](FaultyFileSystem::Change change, const std::string&) {
      return change == FaultyFileSystem::Change::sync ? rocksdb::IOStatus::IOError("the power is cut")
                                                      : rocksdb::IOStatus::OK();
    });
    rig_.run(std::move(operations));
    rig_.machine.files->cut_power();
    rig_.log.reset();
    log_path_ = files_of(rig_.options.path, ".log").back();
    synced_ = rig_.machine.files->synced_bytes(log_path_);
    bytes_ = read_file(log_path_);
    rig_.machine.files->lose_unsynced(UINT32_MAX);  // which is nothing
    ASSERT_EQ(read_file(log_path_), bytes_);
    ASSERT_LT(synced_, bytes_.size());
    original_ = rig_.options.path;
  }
  // Opens a copy of the store whose log is this.
  Opened reopen(const std::string& log) {
    rig_.log.reset();
    rig_.options.path = original_ + "-copy";
    std::filesystem::remove_all(rig_.options.path);
    std::filesystem::copy(original_, rig_.options.path);
    write_file(rig_.options.path + "/" + std::filesystem::path(log_path_).filename().string(), log);
    rig_.open();
    return rig_.open_channel(kOne, "t/a", "e2");
  }
  // Nothing is lost that was safe, nothing is there in part, and it goes on.
  void expect_all_or_nothing(const std::string& log, std::uint64_t all) {
    const Opened opened = reopen(log);
    EXPECT_EQ(opened.epoch, "e1");
    ASSERT_TRUE(opened.last_seq == kSafe || opened.last_seq == all) << opened.last_seq;
    Outcome outcome = rig_.read(kOne, 0);
    const auto& entries = as<ReadDone>(outcome).entries;
    ASSERT_EQ(entries.size(), opened.last_seq);
    for (const Entry& each : entries) EXPECT_EQ(each.body.view(), body(each.seq));
    outcome = rig_.append(kOne, opened.last_seq + 1);
    EXPECT_TRUE(std::holds_alternative<Committed>(outcome));
  }

  StoreRig rig_;
  std::string original_, log_path_, bytes_;
  std::uint64_t synced_ = 0;
};

}  // namespace

TEST_F(TornStore, OpensWithAllThatWasSafeWhereverItsLogEnds) {
  fill();
  std::vector<Operation> operations;
  for (std::uint64_t seq = kSafe + 1; seq <= kSafe + 30; ++seq)
    operations.push_back(append_one(kOne, seq, body(seq)));
  cut_off(std::move(operations));
  for (std::uint64_t size = synced_; size < bytes_.size() && !HasFailure(); size += bytes_.size() / 30)
    expect_all_or_nothing(bytes_.substr(0, size), kSafe + 30);
  expect_all_or_nothing(bytes_, kSafe + 30);
  EXPECT_EQ(rig_.open_channel(kTwo, "t/other").last_seq, 0u);
}

TEST_F(TornStore, OpensWithAllThatWasSafeWhateverItsLogEndsIn) {
  fill();
  std::vector<Operation> operations;
  for (std::uint64_t seq = kSafe + 1; seq <= kSafe + 30; ++seq)
    operations.push_back(append_one(kOne, seq, body(seq)));
  cut_off(std::move(operations));
  std::mt19937 random(7);
  for (int round = 0; round < 30 && !HasFailure(); ++round) {
    std::string log = bytes_;
    for (std::uint64_t begin = synced_; begin < log.size();) {
      const std::uint64_t end = std::min<std::uint64_t>((begin / 4096 + 1) * 4096, log.size());
      const auto fate = random() % 3;
      for (; begin < end; ++begin)
        if (fate != 0) log[begin] = fate == 1 ? '\0' : static_cast<char>(random());
    }
    expect_all_or_nothing(log, kSafe + 30);
  }
}

TEST_F(TornStore, DoesNotStepOverAHoleThatLooksEmpty) {
  fill();
  rig_.run({SaveSnapshot{.channel = kOne, .seq = 3, .state = SharedBytes(std::string(70'000, 's'))}});
  rig_.read(kOne, 0);
  rig_.run({SaveMark{.channel = kOne, .mark = 7}});
  rig_.read(kOne, 0);
  cut_off({append_one(kOne, kSafe + 1, body(kSafe + 1))});
  ASSERT_GT(bytes_.size(), synced_ + 70'000);
  std::uint64_t end = (synced_ / kLogBlock + 1) * kLogBlock;
  for (; end < synced_ + 70'000; end += kLogBlock) {
    const Opened opened = reopen(with_zeros(bytes_, synced_, end));
    EXPECT_EQ(opened.last_seq, kSafe);
    EXPECT_EQ(opened.mark, 0u);
    EXPECT_FALSE(opened.snapshot);
  }
}

TEST_F(TornStore, IsRefusedWhenWhatIsMissingHadBeenAcknowledged) {
  fill();
  cut_off({append_one(kOne, kSafe + 1, body(kSafe + 1))});
  std::mt19937 random(7);
  for (int round = 0; round < 30; ++round) {
    rig_.log.reset();
    write_file(log_path_, with_flip(bytes_, random() % synced_));
    const auto opened = rig_.try_open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::internal);
    EXPECT_THAT(opened.error().message, HasSubstr("is damaged"));
    EXPECT_THAT(opened.error().message, HasSubstr(original_));
    EXPECT_THAT(opened.error().message, HasSubstr(".log"));
  }
  write_file(log_path_, bytes_);
  rig_.open();
  EXPECT_GE(rig_.open_channel(kOne, "t/a").last_seq, kSafe);
}

}  // namespace tidewire::log
