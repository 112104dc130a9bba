// Failing writes and syncs, full disks, and power that is cut (log.h: what must be atomic).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <random>

#include "log/rocksdb/store_rig.h"

namespace tidewire::log {

namespace {

using Change = FaultyFileSystem::Change;
using ::testing::HasSubstr;

bool is_write_ahead_log(const std::string& path) { return path.ends_with(".log"); }

Result<void> save_revocation(RocksdbLog& log, Revocation revocation) {
  std::promise<Result<void>> saved;
  log.save_revocation(std::move(revocation),
                      [&](Result<void> result) { saved.set_value(std::move(result)); });
  return saved.get_future().get();
}

// Everything that a store has to be after a failure, and after the restart that follows.
void expect_read_only_until_restart(StoreRig& rig, std::uint64_t committed) {
  rig.machine.files->set_judge(nullptr);  // the disk is well again, which changes nothing
  Outcome outcome = rig.append(kOne, committed + 1);
  EXPECT_EQ(as<Failed>(outcome).error.code, ErrorCode::unavailable);
  EXPECT_THAT(as<Failed>(outcome).error.message, HasSubstr("read-only"));
  EXPECT_FALSE(rig.log->health().writable);
  EXPECT_NE(rig.log->health().reason, "");

  outcome = rig.read(kOne, 0);
  EXPECT_EQ(as<ReadDone>(outcome).entries.size(), committed);
  rig.run({Close{.channel = kOne}});
  EXPECT_EQ(rig.open_channel(kOne, "t/a").last_seq, committed);
  outcome = rig.run_one(Open{.channel = kTwo, .name = "t/new", .epoch = "e", .retention = {.messages = 10}});
  EXPECT_EQ(as<Failed>(outcome).what, Failed::What::open);
  outcome = rig.append(kTwo, 1);
  EXPECT_EQ(as<Failed>(outcome).what, Failed::What::append);
  EXPECT_FALSE(save_revocation(*rig.log, {"t", "ann", 1}));

  rig.open();
  EXPECT_TRUE(rig.log->health().writable);
  const Opened opened = rig.open_channel(kOne, "t/a");
  EXPECT_GE(opened.last_seq, committed);  // nobody knows about the one that failed
  outcome = rig.append(kOne, opened.last_seq + 1);
  EXPECT_TRUE(std::holds_alternative<Committed>(outcome));
}

}  // namespace

TEST(StoreFaults, AFailedSyncTurnsTheStoreReadOnly) {
  StoreRig rig;
  rig.open();
  rig.open_channel(kOne, "t/a");
  rig.append(kOne, 1);
  rig.machine.files->set_judge([](Change change, const std::string& path) {
    return change == Change::sync && is_write_ahead_log(path) ? rocksdb::IOStatus::IOError("sync failed")
                                                              : rocksdb::IOStatus::OK();
  });
  std::vector<Outcome> outcomes =
      rig.run({Append{.channel = kOne, .number = 2, .entries = {entry(2, "x")}, .keys = {}},
               Read{.channel = kOne, .number = 3, .after = 0, .messages_max = 10, .bytes_max = 1000},
               Append{.channel = kOne, .number = 4, .entries = {entry(3, "y")}, .keys = {}},
               Open{.channel = kTwo, .name = "t/b", .epoch = "e", .retention = {.messages = 10}},
               Append{.channel = kTwo, .number = 1, .entries = {entry(1, "z")}, .keys = {}}});
  EXPECT_EQ(as<Failed>(outcomes[0]).number, 2u);
  EXPECT_EQ(as<Failed>(outcomes[0]).error.code, ErrorCode::unavailable);
  EXPECT_EQ(as<ReadDone>(outcomes[1]).entries.size(), 1u);
  EXPECT_EQ(as<Failed>(outcomes[2]).number, 4u);
  EXPECT_EQ(as<Failed>(outcomes[3]).what, Failed::What::open);
  EXPECT_EQ(as<Failed>(outcomes[4]).what, Failed::What::append);
  expect_read_only_until_restart(rig, 1);
}

TEST(StoreFaults, WhatAFailedGroupWouldHaveFreedIsKept) {
  const Retention two{.messages = 2, .folded = true};
  StoreRig rig;
  rig.open();
  rig.open_channel(kOne, "t/a", "e1", two);
  for (std::uint64_t seq = 1; seq <= 9; ++seq) rig.append(kOne, seq);
  rig.run({SaveSnapshot{.channel = kOne, .seq = 3, .state = SharedBytes("three")},
           SaveMark{.channel = kOne, .mark = 7}});
  rig.append(kOne, 10);
  rig.machine.files->set_judge([](Change change, const std::string& path) {
    return change == Change::sync && is_write_ahead_log(path) ? rocksdb::IOStatus::IOError("sync failed")
                                                              : rocksdb::IOStatus::OK();
  });
  Append append = append_one(kOne, 11);
  append.mark = 11;
  append.keep_from = 12;
  for (const Outcome& outcome :
       rig.run({std::move(append), SaveSnapshot{.channel = kOne, .seq = 11, .state = SharedBytes("11")},
                SaveMark{.channel = kOne, .mark = 12}, append_one(kOne, 12)}))
    EXPECT_TRUE(std::holds_alternative<Failed>(outcome));
  rig.run({SaveSnapshot{.channel = kOne, .seq = 10, .state = SharedBytes("10")},
           SaveMark{.channel = kOne, .mark = 13}});
  rig.log->sweep(0);
  for (int life = 0; life < 2; ++life) {
    rig.run({Close{.channel = kOne}});
    const Opened opened = rig.open_channel(kOne, "t/a", "e2", two);
    EXPECT_EQ(opened.last_seq, 10u);
    EXPECT_EQ(opened.first_seq, 4u);
    EXPECT_EQ(opened.snapshot_seq, 3u);
    EXPECT_EQ(opened.snapshot.view(), "three");
    EXPECT_EQ(opened.mark, 7u);
    Outcome outcome = rig.read(kOne, 0);
    EXPECT_EQ(as<ReadDone>(outcome).entries.size(), 7u);
    rig.log.reset();
    rig.machine.files->lose_unsynced(0);
    rig.open();
  }
}

TEST(StoreFaults, AFullDiskTurnsTheStoreReadOnly) {
  StoreRig rig;
  rig.open();
  rig.open_channel(kOne, "t/a");
  rig.append(kOne, 1);
  rig.machine.files->set_judge([](Change change, const std::string&) {
    return change == Change::append ? rocksdb::IOStatus::NoSpace("the disk is full")
                                    : rocksdb::IOStatus::OK();
  });
  Outcome outcome = rig.append(kOne, 2);
  EXPECT_EQ(as<Failed>(outcome).error.code, ErrorCode::unavailable);
  EXPECT_THAT(rig.log->health().reason, HasSubstr("full"));
  expect_read_only_until_restart(rig, 1);
}

TEST(StoreFaults, AFullDiskWhenTheWriteAheadLogIsSyncedTurnsTheStoreReadOnly) {
  StoreRig rig;
  rig.open();
  rig.open_channel(kOne, "t/a");
  rig.append(kOne, 1);
  rig.machine.files->set_judge([](Change change, const std::string& path) {
    return change == Change::sync && is_write_ahead_log(path) ? rocksdb::IOStatus::NoSpace("the disk is full")
                                                              : rocksdb::IOStatus::OK();
  });
  Outcome outcome = rig.append(kOne, 2);
  EXPECT_EQ(as<Failed>(outcome).error.code, ErrorCode::unavailable);
  EXPECT_THAT(rig.log->health().reason, HasSubstr("full"));
  expect_read_only_until_restart(rig, 1);
}

// ---- behind the writes: flushes, compactions, new files ----

namespace {

// RocksDB's threads are named by what they do: flushes have the higher priority.
bool on_thread(std::string_view name) {
  char own[16] = {};
  pthread_getname_np(pthread_self(), own, sizeof own);
  return std::string_view(own).starts_with(name);
}

// Appends until the judge's fault has reached the store.
void expect_fault_in_the_background(FaultyFileSystem::Judge judge, const std::string& reason) {
  StoreRig rig;
  rig.options.write_buffer_bytes = 256u << 10;
  rig.options.wal_bytes_max = 1u << 20;
  rig.open();
  rig.open_channel(kOne, "t/a");
  rig.machine.files->set_judge(std::move(judge));
  std::uint64_t committed = 0;
  const std::string body(4000, 'x');
  while (committed < 10'000) {
    Outcome outcome = rig.append(kOne, committed + 1, body);
    if (!std::holds_alternative<Committed>(outcome)) break;
    ++committed;
  }
  EXPECT_LT(committed, 10'000u);
  EXPECT_THAT(rig.log->health().reason, HasSubstr(reason));
  expect_read_only_until_restart(rig, committed);
}

bool is_table(const std::string& path) { return path.ends_with(".sst"); }

}  // namespace

TEST(StoreFaults, AFailedFlushTurnsTheStoreReadOnly) {
  expect_fault_in_the_background(
      [](Change, const std::string& path) {
        return is_table(path) && on_thread("rocksdb:high") ? rocksdb::IOStatus::IOError("bad sector")
                                                           : rocksdb::IOStatus::OK();
      },
      "bad sector");
}

TEST(StoreFaults, AFullDiskInAFlushTurnsTheStoreReadOnly) {
  expect_fault_in_the_background(
      [](Change change, const std::string& path) {
        return change == Change::append && is_table(path) && on_thread("rocksdb:high")
                   ? rocksdb::IOStatus::NoSpace("the disk is full")
                   : rocksdb::IOStatus::OK();
      },
      "the disk is full");
}

TEST(StoreFaults, AFullDiskInACompactionTurnsTheStoreReadOnly) {
  expect_fault_in_the_background(
      [](Change change, const std::string& path) {
        return change == Change::append && is_table(path) && on_thread("rocksdb:low")
                   ? rocksdb::IOStatus::NoSpace("the disk is full")
                   : rocksdb::IOStatus::OK();
      },
      "the disk is full");
}

TEST(StoreFaults, AFailedSyncOfAFlushedTableTurnsTheStoreReadOnly) {
  expect_fault_in_the_background(
      [](Change change, const std::string& path) {
        return change == Change::sync && is_table(path) ? rocksdb::IOStatus::IOError("sync failed")
                                                        : rocksdb::IOStatus::OK();
      },
      "sync failed");
}

TEST(StoreFaults, AFailedSyncOfTheManifestTurnsTheStoreReadOnly) {
  expect_fault_in_the_background(
      [](Change change, const std::string& path) {
        return change == Change::sync && path.find("MANIFEST") != std::string::npos
                   ? rocksdb::IOStatus::IOError("sync failed")
                   : rocksdb::IOStatus::OK();
      },
      "sync failed");
}

TEST(StoreFaults, AWriteAheadLogThatCannotBeMadeTurnsTheStoreReadOnly) {
  expect_fault_in_the_background(
      [](Change change, const std::string& path) {
        return change == Change::name && is_write_ahead_log(path) ? rocksdb::IOStatus::NoSpace("no inodes")
                                                                  : rocksdb::IOStatus::OK();
      },
      "no inodes");
}

TEST(StoreFaults, TheNthSyncOrWriteMayFailAndNothingCommittedIsLost) {
  for (int nth = 1; nth <= 6; ++nth) {
    SCOPED_TRACE(nth);
    StoreRig rig;
    rig.open();
    rig.open_channel(kOne, "t/a");
    auto left = std::make_shared<int>(nth);
    rig.machine.files->set_judge([left](Change change, const std::string&) {
      if (change != Change::append && change != Change::sync) return rocksdb::IOStatus::OK();
      return --*left == 0 ? rocksdb::IOStatus::IOError("once") : rocksdb::IOStatus::OK();
    });
    std::uint64_t committed = 0;
    for (std::uint64_t seq = 1; seq <= 20; ++seq) {
      Outcome outcome = rig.append(kOne, seq);
      if (std::holds_alternative<Committed>(outcome)) {
        EXPECT_EQ(committed + 1, seq);
        committed = seq;
      }
    }
    EXPECT_LT(committed, 20u);
    rig.log.reset();
    rig.machine.files->lose_unsynced(0);
    rig.open();
    EXPECT_GE(rig.open_channel(kOne, "t/a").last_seq, committed);
    Outcome outcome = rig.read(kOne, 0, committed);
    EXPECT_EQ(as<ReadDone>(outcome).entries.size(), committed);
  }
}

TEST(StoreFaults, WhileASyncIsSlowTheNextGroupGathersAndNothingIsAnswered) {
  StoreRig rig;
  rig.open();
  rig.open_channel(kOne, "t/a");
  rig.append(kOne, 1);
  const std::uint64_t groups = rig.log->counts().groups;
  std::promise<void> begun, go_on;
  std::atomic<bool> slow = true;
  auto until = go_on.get_future().share();
  rig.machine.files->set_judge([&, until](Change change, const std::string& path) {
    if (change == Change::sync && is_write_ahead_log(path) && slow.exchange(false)) {
      begun.set_value();
      until.wait();
    }
    return rocksdb::IOStatus::OK();
  });
  const std::size_t calls = rig.outcomes[0].calls();
  rig.log->submit(0, {append_one(kOne, 2)}, 0);
  begun.get_future().wait();
  for (std::uint64_t seq = 3; seq <= 50; ++seq) rig.log->submit(0, {append_one(kOne, seq)}, 0);
  rig.log->submit(
      0, {Read{.channel = kOne, .number = 1, .after = 0, .messages_max = 100, .bytes_max = 1u << 20}}, 0);
  EXPECT_TRUE(rig.log->health().writable);
  EXPECT_EQ(rig.outcomes[0].calls(), calls);
  go_on.set_value();
  std::vector<Outcome> outcomes = rig.outcomes[0].take(50);
  for (std::uint64_t seq = 2; seq <= 50; ++seq) EXPECT_EQ(as<Committed>(outcomes[seq - 2]).last_seq, seq);
  EXPECT_EQ(as<ReadDone>(outcomes[49]).entries.size(), 50u);
  EXPECT_EQ(rig.log->counts().groups, groups + 2);
}

}  // namespace tidewire::log
