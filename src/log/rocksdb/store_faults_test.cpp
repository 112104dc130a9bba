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

TEST(StoreFaults, AFailureInTheBackgroundTurnsTheStoreReadOnlyToo) {
  StoreRig rig;
  rig.options.write_buffer_bytes = 256u << 10;
  rig.open();
  rig.open_channel(kOne, "t/a");
  rig.machine.files->set_judge([](Change, const std::string& path) {
    return path.ends_with(".sst") ? rocksdb::IOStatus::IOError("bad sector") : rocksdb::IOStatus::OK();
  });
  std::uint64_t committed = 0;
  const std::string body(4000, 'x');
  while (committed < 10'000) {
    Outcome outcome = rig.append(kOne, committed + 1, body);
    if (!std::holds_alternative<Committed>(outcome)) break;
    ++committed;
  }
  EXPECT_LT(committed, 10'000u);
  expect_read_only_until_restart(rig, committed);
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

// Two shards append at full speed with small buffers, so that flushes, compactions and new write-ahead logs
// are under way; the power goes at a random change of a file.
TEST(StoreFaults, EverythingCommittedIsThereAfterAPowerLoss) {
  for (std::uint32_t seed = 1; seed <= 40 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    StoreRig rig;
    rig.options.write_buffer_bytes = 256u << 10;
    rig.options.wal_bytes_max = 512u << 10;
    std::vector<std::uint64_t> committed(4), submitted(4);
    for (int life = 0; life < 3; ++life) {
      rig.open();
      if (::testing::Test::HasFailure()) return;
      for (std::uint32_t i = 0; i < 4; ++i) {
        const Handle channel{.index = i, .generation = 1};
        const Opened opened = rig.open_channel(channel, "t/" + std::to_string(i), "e" + std::to_string(life),
                                               {.messages = 50 + 100 * i});
        EXPECT_EQ(opened.epoch, "e0");
        EXPECT_GE(opened.last_seq, committed[i]);
        EXPECT_LE(opened.last_seq, submitted[i]);
        Outcome outcome = rig.read(channel, 0);
        const auto& entries = as<ReadDone>(outcome).entries;
        EXPECT_GE(entries.size(), std::min<std::uint64_t>(opened.last_seq, 50 + 100 * i));
        for (const Entry& each : entries)
          ASSERT_EQ(each.body.view().substr(0, 20), std::to_string(each.seq).append(20, 'x').substr(0, 20));
        if (opened.last_seq > 0) {
          ASSERT_EQ(opened.keys.back().seq, opened.last_seq);
          ASSERT_EQ(opened.keys.size(), opened.last_seq - opened.keys.front().seq + 1);
        }
        submitted[i] = committed[i] = opened.last_seq;
      }
      auto left = std::make_shared<std::uint64_t>(1 + random() % 1200);
      auto off = std::make_shared<bool>(false);
      rig.machine.files->set_judge([left, off](Change, const std::string&) {
        if (--*left == 0) *off = true;
        return *off ? rocksdb::IOStatus::IOError("the power is cut") : rocksdb::IOStatus::OK();
      });
      bool failed = false;
      while (!failed) {
        std::vector<Operation> operations;
        for (int count = 0; count < 20; ++count) {
          const std::uint32_t i = static_cast<std::uint32_t>(random() % 4);
          const std::uint64_t seq = ++submitted[i];
          operations.push_back(
              Append{.channel = {.index = i, .generation = 1},
                     .number = seq,
                     .entries = {entry(seq, std::to_string(seq).append(20 + random() % 2000, 'x'))},
                     .keys = {{.name = std::to_string(seq), .seq = seq, .until_ms = 1000}}});
        }
        for (const Outcome& outcome : rig.run(std::move(operations))) {
          if (const auto* done = std::get_if<Committed>(&outcome))
            committed[done->channel.index] = done->last_seq;
          failed |= std::holds_alternative<Failed>(outcome);
        }
      }
      rig.log.reset();
      rig.machine.files->lose_power(random);
    }
  }
}

}  // namespace tidewire::log
