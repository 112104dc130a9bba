// The slow pass over all channels: what it drops, and which channels it forgets in the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include "log/rocksdb/store_rig.h"

namespace tidewire::log {

namespace {

using ::testing::Each;
using ::testing::Pair;

constexpr std::int64_t kDayMs = 86'400'000;
constexpr Retention kDay{.messages = 1000, .ttl_ms = kDayMs};

// Enough slices for a few hundred channels.
void sweep_all(StoreRig& rig, std::int64_t now_ms) {
  for (int slice = 0; slice < 4; ++slice) {
    rig.log->sweep(now_ms);
    rig.read(handle(999), 0);  // sweeps that wait together are one
  }
}

// How many keys the closed store has in each column family but the default one.
std::map<std::string, std::size_t> keys_stored(const StoreRig& rig) {
  std::vector<std::string> names;
  EXPECT_TRUE(rocksdb::DB::ListColumnFamilies({}, rig.options.path, &names).ok());
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  EXPECT_TRUE(rocksdb::DB::OpenForReadOnly({}, rig.options.path, families, &handles, &db).ok());
  std::map<std::string, std::size_t> counts;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::unique_ptr<rocksdb::Iterator> each(db->NewIterator({}, handles[i]));
    if (names[i] != "default")
      for (each->SeekToFirst(), counts[names[i]] = 0; each->Valid(); each->Next()) ++counts[names[i]];
  }
  for (rocksdb::ColumnFamilyHandle* family : handles) db->DestroyColumnFamilyHandle(family);
  delete db;
  return counts;
}

}  // namespace

TEST(Sweep, DropsWhatIsTooOldInChannelsThatNobodyOpens) {
  StoreRig rig;
  rig.open();
  for (std::uint32_t i = 1; i <= 300; ++i) {
    rig.run({Open{.channel = handle(i),
                  .name = "t/" + std::to_string(i),
                  .epoch = "e",
                  .retention = {.messages = 1000, .ttl_ms = 100}},
             append_one(handle(i), 1), append_one(handle(i), 2), Close{.channel = handle(i)}});
  }
  sweep_all(rig, 1000);
  rig.log.reset();
  rig.open();
  // With no time limit any more, what is gone is gone by the sweep.
  for (std::uint32_t i = 1; i <= 300; ++i) {
    const Opened opened = rig.open_channel(handle(i), "t/" + std::to_string(i));
    EXPECT_EQ(opened.first_seq, 3u);
    EXPECT_EQ(opened.last_seq, 2u);
  }
}

TEST(Sweep, ForgetsChannelsThatNobodyEverWroteTo) {
  StoreRig rig;
  rig.open();
  for (std::uint32_t i = 1; i <= 300; ++i) {
    rig.run({Open{.channel = handle(i), .name = "t/" + std::to_string(i), .epoch = "e1", .retention = kDay}});
    rig.run({Close{.channel = handle(i)}});
  }
  sweep_all(rig, 0);
  Opened opened = rig.open_channel(kOne, "t/1", "e2", kDay);
  EXPECT_EQ(opened.epoch, "e2");
  Outcome outcome = rig.append(kOne, 1);
  EXPECT_EQ(as<Committed>(outcome).last_seq, 1u);
  rig.run({Close{.channel = kOne}});
  sweep_all(rig, 0);
  rig.log.reset();
  EXPECT_EQ(keys_stored(rig)["names"], 1u);
  EXPECT_EQ(keys_stored(rig)["channels"], 2u);
  rig.open();
  opened = rig.open_channel(kOne, "t/1", "e3", kDay);
  EXPECT_EQ(opened.epoch, "e2");
  EXPECT_EQ(opened.last_seq, 1u);
}

TEST(Sweep, LeavesAChannelThatIsOpenOrHasAMark) {
  StoreRig rig;
  rig.open();
  rig.open_channel(kOne, "t/open", "e1", kDay);
  rig.open_channel(kTwo, "t/marked", "e1", kDay);
  rig.run({SaveMark{.channel = kTwo, .mark = 5}, Close{.channel = kTwo}});
  sweep_all(rig, 100 * kDayMs);
  rig.run({Close{.channel = kOne}});
  EXPECT_EQ(rig.open_channel(kOne, "t/open", "e2", kDay).epoch, "e1");
  const Opened marked = rig.open_channel(kTwo, "t/marked", "e2", kDay);
  EXPECT_EQ(marked.epoch, "e1");
  EXPECT_EQ(marked.mark, 5u);
}

TEST(Sweep, ForgetsAnEmptyChannelThirtyDaysAfterItsLastEntry) {
  StoreRig rig;
  rig.open();
  rig.open_channel(kOne, "t/a", "e1", kDay);
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    Append append = append_one(kOne, seq);
    append.keys.push_back({.name = "k" + std::to_string(seq), .seq = seq, .until_ms = 100});
    append.mark = seq;
    rig.run({std::move(append)}, 1000);
  }
  rig.run({Close{.channel = kOne}}, 1000);
  sweep_all(rig, 1000 + 30 * kDayMs - 1);
  Opened opened = rig.open_channel(kOne, "t/a", "e2", kDay, 1000 + 30 * kDayMs - 1);
  EXPECT_EQ(opened.epoch, "e1");
  EXPECT_EQ(opened.first_seq, 4u);
  EXPECT_EQ(opened.last_seq, 3u);
  EXPECT_EQ(opened.mark, 3u);
  rig.run({Close{.channel = kOne}});  // being opened is not being used
  sweep_all(rig, 1000 + 30 * kDayMs);
  rig.log.reset();
  EXPECT_THAT(keys_stored(rig), Each(Pair(::testing::_, 0u)));

  rig.open();
  opened = rig.open_channel(kOne, "t/a", "e3", kDay, 1000 + 31 * kDayMs);
  EXPECT_EQ(opened.epoch, "e3");
  EXPECT_EQ(opened.last_seq, 0u);
  EXPECT_EQ(opened.mark, 0u);
  EXPECT_TRUE(opened.keys.empty());
  rig.run({append_one(kOne, 1)}, 1000 + 31 * kDayMs);
  rig.open();
  EXPECT_EQ(rig.open_channel(kOne, "t/a", "e4", kDay, 1000).last_seq, 1u);
}

TEST(Sweep, LeavesAnEmptyChannelWhoseKeysAreInUse) {
  StoreRig rig;
  rig.open();
  rig.open_channel(kOne, "t/a", "e1", kDay);
  Append append = append_one(kOne, 1);
  append.keys.push_back({.name = "k", .seq = 1, .until_ms = 50 * kDayMs});
  rig.run({std::move(append)});
  rig.run({Close{.channel = kOne}});
  sweep_all(rig, 40 * kDayMs);
  const Opened opened = rig.open_channel(kOne, "t/a", "e2", kDay, 40 * kDayMs);
  EXPECT_EQ(opened.epoch, "e1");
  EXPECT_EQ(opened.keys.size(), 1u);
  rig.run({Close{.channel = kOne}});
  sweep_all(rig, 50 * kDayMs);
  EXPECT_EQ(rig.open_channel(kOne, "t/a", "e2", kDay, 50 * kDayMs).epoch, "e2");
}

TEST(Sweep, LeavesAChannelThatHasEntriesOrASnapshot) {
  const Retention folded{.messages = 0, .ttl_ms = kDayMs, .folded = true};
  StoreRig rig;
  rig.open();
  rig.open_channel(handle(1), "t/entries", "e1", {.messages = 10});
  rig.open_channel(handle(2), "t/snapshot", "e1", folded);
  rig.open_channel(handle(3), "t/uncovered", "e1", folded);
  for (std::uint32_t i = 1; i <= 3; ++i) rig.append(handle(i), 1);
  rig.run({SaveSnapshot{.channel = handle(2), .seq = 1, .state = SharedBytes("state")}});
  for (std::uint32_t i = 1; i <= 3; ++i) rig.run({Close{.channel = handle(i)}});
  sweep_all(rig, 100 * kDayMs);
  const Opened entries = rig.open_channel(handle(1), "t/entries", "e2", {.messages = 10});
  EXPECT_EQ(entries.epoch, "e1");
  EXPECT_EQ(entries.tail.size(), 1u);
  const Opened snapshot = rig.open_channel(handle(2), "t/snapshot", "e2", folded);
  EXPECT_EQ(snapshot.epoch, "e1");
  EXPECT_EQ(snapshot.first_seq, 2u);
  EXPECT_EQ(snapshot.snapshot.view(), "state");
  const Opened uncovered = rig.open_channel(handle(3), "t/uncovered", "e2", folded);
  EXPECT_EQ(uncovered.epoch, "e1");
  EXPECT_EQ(uncovered.tail.size(), 1u);
}

// ---- channels that are opened lazily ----

namespace {
Opened open_lazily(StoreRig& rig, Handle channel, const std::string& name, const std::string& known = {}) {
  Outcome outcome = rig.run_one(Open{.channel = channel,
                                     .name = name,
                                     .epoch = "fresh",
                                     .lazily = true,
                                     .known_epoch = known,
                                     .retention = kDay,
                                     .tail_messages = 10,
                                     .tail_bytes = 1u << 20});
  if (auto* opened = std::get_if<Opened>(&outcome)) return std::move(*opened);
  ADD_FAILURE() << as<Failed>(outcome).error.message;
  return {};
}
void close(StoreRig& rig, Handle channel) { rig.run({Close{.channel = channel}}); }
}  // namespace

TEST(OpenLazily, WritesNothingBeforeTheFirstAppend) {
  StoreRig rig;
  rig.open();
  for (std::uint32_t i = 1; i <= 100; ++i) {
    open_lazily(rig, handle(i), "t/" + std::to_string(i));
    rig.run({SaveMark{.channel = handle(i), .mark = 1},
             SaveSnapshot{.channel = handle(i), .seq = 0, .state = SharedBytes("s")},
             Close{.channel = handle(i)}});
  }
  rig.read(handle(999), 0);
  EXPECT_EQ(rig.log->counts().groups, 0u);
  rig.log.reset();
  for (const auto& [family, count] : keys_stored(rig)) EXPECT_EQ(count, 0u) << family;
}

TEST(OpenLazily, IsUnderOneEpochUntilItIsMadeAndThenToo) {
  StoreRig rig;
  rig.open();
  const std::string epoch = open_lazily(rig, kOne, "t/1").epoch;
  EXPECT_FALSE(epoch.empty());
  EXPECT_NE(epoch, "fresh");
  EXPECT_NE(open_lazily(rig, handle(2), "t/2").epoch, epoch);
  Outcome outcome = rig.read(kOne, 0);
  EXPECT_TRUE(as<ReadDone>(outcome).entries.empty());
  close(rig, kOne);
  rig.log.reset();
  rig.open();
  EXPECT_EQ(open_lazily(rig, kOne, "t/1").epoch, epoch);
  outcome = rig.append(kOne, 1);
  EXPECT_EQ(as<Committed>(outcome).last_seq, 1u);
  rig.log.reset();
  rig.open();
  const Opened opened = open_lazily(rig, kOne, "t/1", "another");
  EXPECT_EQ(opened.epoch, epoch);
  EXPECT_EQ(opened.last_seq, 1u);
  EXPECT_EQ(opened.tail.size(), 1u);
  rig.log.reset();
  EXPECT_EQ(keys_stored(rig)["names"], 1u);
}

TEST(OpenLazily, KeepsTheEpochThatItsHomeKnows) {
  StoreRig rig;
  rig.open();
  EXPECT_EQ(open_lazily(rig, kOne, "t/1", "known").epoch, "known");
  rig.append(kOne, 1);
  close(rig, kOne);
  EXPECT_EQ(open_lazily(rig, kOne, "t/1").epoch, "known");
}

// Its seqs begin anew, so its positions of before must mean nothing.
TEST(OpenLazily, HasAnotherEpochOnceItsEntriesAreForgotten) {
  StoreRig rig;
  rig.open();
  const std::string before = open_lazily(rig, kOne, "t/1").epoch;
  rig.append(kOne, 1);
  close(rig, kOne);
  sweep_all(rig, kDayMs + 1);
  sweep_all(rig, 40 * kDayMs);
  const std::string after = open_lazily(rig, kOne, "t/1").epoch;
  EXPECT_NE(after, before);
  close(rig, kOne);
  rig.log.reset();
  rig.open();
  EXPECT_EQ(open_lazily(rig, kOne, "t/1").epoch, after);
}

}  // namespace tidewire::log
