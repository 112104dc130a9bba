// Channels whose stored data is damaged (protocol §6, store trouble): what becomes of them, and that the
// others are untouched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/rocksdb/store_rig.h"

namespace tidewire::log {

namespace {

using ::testing::HasSubstr;

// Channels whose entries end up in a table file, a block of which is spoiled. The one in the middle keeps
// the last from sharing a block with the first.
class DamagedStore : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kEntries = 600;

  static std::string body(std::uint64_t seq) {
    std::string text;
    std::uint64_t state = seq * 0x9e3779b97f4a7c15u + 1;
    while (text.size() < 400) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      text += static_cast<char>(state >> 56);
    }
    return text;
  }
  // Spoils the block that holds this entry of the first channel.
  void damage(std::uint64_t seq) {
    fill();
    spoil(body(seq).substr(100, 50));
  }
  // `also` is done to the first channel when its entries are there.
  void fill(Retention retention = {.messages = 1'000'000}, std::vector<Operation> also = {}) {
    rig_.open();
    for (const auto& [channel, name] :
         {std::pair{kOne, "t/a"}, std::pair{handle(3), "t/middle"}, std::pair{kTwo, "t/b"}}) {
      rig_.open_channel(channel, name, "e1", retention);
      std::vector<Operation> operations;
      for (std::uint64_t each = 1; each <= kEntries; ++each)
        operations.push_back(
            append_one(channel, each, body(each + (channel == kOne ? 0 : 10'000 * channel.index))));
      rig_.run(std::move(operations));
    }
    rig_.run(std::move(also));
  }
  // Spoils the block of a table that holds these bytes, and opens the store anew.
  void spoil(const std::string& marker) {
    rig_.open();  // what was in the write-ahead log goes to a table
    rig_.log.reset();
    bool found = false;
    for (const auto& path : files_of(rig_.options.path, ".sst")) {
      std::ifstream file(path, std::ios::binary);
      const std::string bytes(std::istreambuf_iterator<char>(file), {});
      const std::size_t at = bytes.find(marker);
      if (at == std::string::npos) continue;
      flip_byte(path, at);
      found = true;
    }
    ASSERT_TRUE(found);
    rig_.open();
  }
  void expect_mended(std::uint64_t seq) {
    const Opened opened = rig_.open_channel(kOne, "t/a", "e2");
    EXPECT_EQ(opened.epoch, "e2");
    EXPECT_EQ(opened.first_seq, 1u);
    EXPECT_LT(opened.last_seq, seq);
    EXPECT_GT(opened.last_seq, seq - 100);  // up to the block that is damaged
    Outcome outcome = rig_.append(kOne, opened.last_seq + 1, "new");
    EXPECT_EQ(as<Committed>(outcome).last_seq, opened.last_seq + 1);
    for (int round = 0; round < 2; ++round) {
      outcome = rig_.read(kOne, 0);
      const auto& entries = as<ReadDone>(outcome).entries;
      ASSERT_EQ(entries.size(), opened.last_seq + 1);
      for (std::uint64_t each = 1; each <= opened.last_seq; ++each)
        ASSERT_EQ(entries[each - 1].body.view(), body(each));
      rig_.open();
      EXPECT_EQ(rig_.open_channel(kOne, "t/a", "e3").epoch, "e2");
    }
  }
  void expect_other_untouched() {
    EXPECT_EQ(rig_.open_channel(kTwo, "t/b", "e2").epoch, "e1");
    Outcome outcome = rig_.read(kTwo, 0);
    EXPECT_EQ(as<ReadDone>(outcome).entries.size(), kEntries);
    outcome = rig_.append(kTwo, kEntries + 1);
    EXPECT_TRUE(std::holds_alternative<Committed>(outcome));
  }

  StoreRig rig_;
};

}  // namespace

TEST_F(DamagedStore, AChannelWithADamagedTailGetsANewEpochBehindWhatStandsBeforeIt) {
  damage(kEntries - 1);
  expect_other_untouched();
  expect_mended(kEntries - 1);
}

TEST_F(DamagedStore, AChannelThatAReadFindsDamagedIsMendedWhenItIsOpenedAgain) {
  damage(300);
  EXPECT_EQ(rig_.open_channel(kOne, "t/a", "e2").epoch, "e1");
  Outcome outcome = rig_.read(kOne, 0);
  EXPECT_EQ(as<Failed>(outcome).what, Failed::What::read);
  EXPECT_EQ(rig_.log->health().damaged_channels, 1u);
  EXPECT_THAT(rig_.log->health().damage, HasSubstr("t/a"));
  EXPECT_TRUE(rig_.log->health().writable);
  rig_.run({Close{.channel = kOne}});
  expect_other_untouched();
  expect_mended(300);
}

TEST_F(DamagedStore, AChannelThatIsClosedWhileAReadFindsItDamagedIsMendedTheNextTime) {
  damage(300);
  rig_.open_channel(kOne, "t/a", "e2");
  std::vector<Outcome> outcomes = rig_.run(
      {Read{.channel = kOne, .number = 1, .after = 0, .messages_max = 1'000'000, .bytes_max = 1u << 30},
       Close{.channel = kOne}});
  EXPECT_EQ(as<Failed>(outcomes[0]).what, Failed::What::read);
  EXPECT_EQ(rig_.log->health().damaged_channels, 1u);
  expect_other_untouched();
  expect_mended(300);
}

TEST_F(DamagedStore, AChannelWhoseFirstEntryIsDamagedStartsAnew) {
  damage(1);
  const Opened opened = rig_.open_channel(kOne, "t/a", "e2");
  EXPECT_EQ(opened.epoch, "e2");
  EXPECT_EQ(opened.last_seq, 0u);
  rig_.run({Close{.channel = kOne}});
  rig_.log->sweep(0);
  Outcome outcome = rig_.read(kTwo, 0);                         // the sweep is through
  EXPECT_EQ(rig_.open_channel(kOne, "t/a", "e3").epoch, "e3");  // like any that was never written to
  outcome = rig_.append(kOne, 1);
  EXPECT_TRUE(std::holds_alternative<Committed>(outcome));
  expect_other_untouched();
}

TEST_F(DamagedStore, ACompactionThatMeetsTheDamageDoesNotStopTheOthers) {
  rig_.options.write_buffer_bytes = 256u << 10;
  damage(300);
  rig_.open_channel(kOne, "t/a");
  rig_.open_channel(kTwo, "t/b");
  // Both at the ends of the key range, so that every table overlaps the damaged one.
  std::uint64_t one = kEntries, two = kEntries;
  for (int round = 0; round < 400 && rig_.log->health().damage.empty(); ++round) {
    std::vector<Operation> operations;
    for (int count = 0; count < 10; ++count) {
      operations.push_back(append_one(kOne, ++one, body(7)));
      operations.push_back(append_one(kTwo, ++two, body(7)));
    }
    rig_.run(std::move(operations));
  }
  EXPECT_NE(rig_.log->health().damage, "");
  EXPECT_TRUE(rig_.log->health().writable);
  Outcome found = rig_.read(kOne, 0);
  EXPECT_EQ(as<Failed>(found).what, Failed::What::read);
  for (int count = 0; count < 500; ++count) {
    Outcome outcome = rig_.append(kTwo, ++two, body(7));
    ASSERT_TRUE(std::holds_alternative<Committed>(outcome));
  }
  EXPECT_THAT(rig_.log->health().damage, HasSubstr("t/a")) << "and not what a later compaction says";
}

// ---- what a folded channel keeps ----

namespace {

// With marks, a snapshot and what is still needed, as an inbox has them. Everything but that may go.
class DamagedFoldedChannel : public DamagedStore {
 protected:
  static constexpr Retention kFolded{.messages = 2, .folded = true};

  void fill_folded(std::uint64_t snapshot_seq, std::uint64_t keep_from) {
    Append last = append_one(kOne, kEntries + 1, "last");
    last.keep_from = keep_from;
    last.mark = 555;
    // Not trimmed before the damage: that is done to all of them.
    fill(
        {.messages = 1'000'000, .folded = true},
        {std::move(last), SaveSnapshot{.channel = kOne, .seq = snapshot_seq, .state = SharedBytes(state())}});
  }
  static std::string state() { return "the state " + body(999'999); }
  // Opens it as it was, so that a read meets the damage, and then again.
  Opened open_mended() {
    EXPECT_EQ(rig_.open_channel(kOne, "t/a", "e2", {.messages = 1'000'000, .folded = true}).epoch, "e1");
    Outcome outcome = rig_.read(kOne, 0);
    EXPECT_TRUE(std::holds_alternative<Failed>(outcome));
    rig_.run({Close{.channel = kOne}});
    return rig_.open_channel(kOne, "t/a", "e2", kFolded);
  }
  std::uint64_t first_after_append(std::uint64_t seq) {
    Outcome outcome = rig_.append(kOne, seq);
    return as<Committed>(outcome).first_seq;
  }
  void save_snapshot(std::uint64_t seq) {
    rig_.run({SaveSnapshot{.channel = kOne, .seq = seq, .state = SharedBytes("new")}});
  }
};

}  // namespace

TEST_F(DamagedFoldedChannel, LosesASnapshotAboveTheDamageAndIsThenTrimmedByTheNextOneOnly) {
  fill_folded(500, kEntries + 2);
  spoil(body(300).substr(100, 50));
  const Opened opened = open_mended();
  const std::uint64_t last = opened.last_seq;
  EXPECT_EQ(opened.epoch, "e2");
  EXPECT_LT(last, 300u);
  EXPECT_EQ(opened.first_seq, 1u);
  EXPECT_EQ(opened.snapshot_seq, 0u);
  EXPECT_FALSE(opened.snapshot);
  EXPECT_EQ(opened.mark, 555u);
  EXPECT_EQ(first_after_append(last + 1), 1u);
  rig_.log->sweep(0);
  EXPECT_EQ(first_after_append(last + 2), 1u);
  save_snapshot(last - 10);
  EXPECT_EQ(first_after_append(last + 3), last - 9);
}

TEST_F(DamagedFoldedChannel, KeepsASnapshotBelowTheDamageAndWhatIsStillNeeded) {
  fill_folded(100, 50);
  spoil(body(300).substr(100, 50));
  const Opened opened = open_mended();
  EXPECT_EQ(opened.epoch, "e2");
  EXPECT_EQ(opened.snapshot_seq, 100u);
  EXPECT_EQ(opened.snapshot.view(), state());
  EXPECT_EQ(opened.first_seq, 50u);
  EXPECT_EQ(opened.mark, 555u);
  EXPECT_EQ(first_after_append(opened.last_seq + 1), 50u);
  rig_.open();
  EXPECT_EQ(rig_.open_channel(kOne, "t/a", "e3", kFolded).snapshot_seq, 100u);
}

TEST_F(DamagedFoldedChannel, WhatWasNeededFromBehindTheDamageOnNowBeginsAtIt) {
  fill_folded(100, 550);
  spoil(body(300).substr(100, 50));
  const std::uint64_t last = open_mended().last_seq;
  for (std::uint64_t seq = last + 1; seq <= last + 10; ++seq) rig_.append(kOne, seq);
  save_snapshot(last + 10);
  EXPECT_EQ(first_after_append(last + 11), last + 1);
}

TEST_F(DamagedFoldedChannel, LosesADamagedSnapshotAndKeepsItsEntries) {
  fill_folded(500, kEntries + 2);
  spoil(body(999'999).substr(100, 50));
  const Opened opened = rig_.open_channel(kOne, "t/a", "e2", kFolded);
  EXPECT_EQ(opened.epoch, "e2");
  EXPECT_EQ(opened.first_seq, 1u);
  EXPECT_EQ(opened.last_seq, kEntries + 1);
  EXPECT_EQ(opened.snapshot_seq, 0u);
  EXPECT_EQ(opened.mark, 555u);
  EXPECT_EQ(first_after_append(kEntries + 2), 1u);
  expect_other_untouched();
}

TEST_F(DamagedFoldedChannel, ASnapshotTellsWhereAnEmptyChannelEndedWhoseRecordIsDamaged) {
  const std::string epoch = "an epoch that is nowhere else";
  rig_.open();
  rig_.open_channel(kOne, "t/a", epoch, {.messages = 0, .folded = true});
  for (std::uint64_t seq = 1; seq <= 70; ++seq) rig_.append(kOne, seq, body(seq));
  rig_.run({SaveSnapshot{.channel = kOne, .seq = 70, .state = SharedBytes(state())}, Close{.channel = kOne}});
  rig_.open_channel(kOne, "t/a", "e2", {.messages = 0, .folded = true});
  spoil(epoch);
  Opened opened = rig_.open_channel(kOne, "t/a", "e2", kFolded);
  EXPECT_EQ(opened.epoch, "e2");
  EXPECT_EQ(opened.last_seq, 70u);
  EXPECT_EQ(opened.first_seq, 71u);
  EXPECT_EQ(opened.snapshot_seq, 70u);
  EXPECT_EQ(opened.snapshot.view(), state());
  EXPECT_EQ(first_after_append(71), 71u);
  rig_.open();
  opened = rig_.open_channel(kOne, "t/a", "e3", kFolded);
  EXPECT_EQ(opened.epoch, "e2");
  EXPECT_EQ(opened.last_seq, 71u);
}

}  // namespace tidewire::log
