// What the bounds of log.h's Retention drop and what they must leave, on every engine.
#include "log/log_conformance.h"

namespace tidewire::log {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(LogConformance, KeepsNoMoreMessagesThanItShould) {
  run_one(open(kOne, "t/a", "e1", {.messages = 5}));
  for (std::uint64_t seq = 1; seq <= 300; ++seq) {
    Outcome outcome = run_one(append(kOne, {entry(seq, "m")}));
    EXPECT_EQ(as<Committed>(outcome).first_seq, seq <= 5 ? 1 : seq - 4);
  }
  Outcome outcome = run_one(read(kOne, 0));
  EXPECT_EQ(as<ReadDone>(outcome).first_seq, 296u);
  EXPECT_THAT(seqs(as<ReadDone>(outcome).entries), ElementsAre(296, 297, 298, 299, 300));
  const Opened opened = open_again({.messages = 3});
  EXPECT_EQ(opened.first_seq, 298u);
  EXPECT_THAT(seqs(opened.tail), ElementsAre(298, 299, 300));
}

TEST_P(LogConformance, KeepsLessOrMoreOnceItIsToldTo) {
  run_one(open(kOne, "t/a", "e1", {.messages = 100}));
  fill(1, 50);
  const auto told = [&](Retention retention, Append next, std::int64_t now_ms = 0) {
    run({Retain{.channel = kOne, .retention = retention}}, now_ms);
    Outcome outcome = run_one(std::move(next), now_ms);
    return as<Committed>(outcome).first_seq;
  };
  EXPECT_EQ(told({.messages = 5}, append(kOne, {entry(51, "m")})), 47u);
  Outcome outcome = run_one(read(kOne, 0));
  EXPECT_THAT(seqs(as<ReadDone>(outcome).entries), ElementsAre(47, 48, 49, 50, 51));
  EXPECT_EQ(told({.messages = 7}, append(kOne, {entry(52, "m")})), 47u);
  fill(53, 70, 50);
  EXPECT_EQ(open_again({.messages = 100}).first_seq, 64u);
  EXPECT_EQ(told({.messages = 100, .ttl_ms = 100}, append(kOne, {entry(71, "m", 160)}), 160), 71u);
}

TEST_P(LogConformance, IsToldHowMuchToKeepBeforeItsFirstEntry) {
  Open lazily = open(kOne, "t/a", "e1", {.messages = 100});
  lazily.lazily = true;
  run_one(std::move(lazily));
  run({Retain{.channel = kOne, .retention = {.messages = 2}}});
  fill(1, 10);
  EXPECT_EQ(open_again({.messages = 100}).first_seq, 9u);
}

TEST_P(LogConformance, ALargeAppendPushesOutItsOwnFirstEntries) {
  run_one(open(kOne, "t/a", "e1", {.messages = 2}));
  std::vector<Entry> entries;
  for (std::uint64_t seq = 1; seq <= 200; ++seq) entries.push_back(entry(seq, "m"));
  Outcome outcome = run_one(append(kOne, std::move(entries)));
  EXPECT_EQ(as<Committed>(outcome).first_seq, 199u);
  outcome = run_one(read(kOne, 0));
  EXPECT_THAT(seqs(as<ReadDone>(outcome).entries), ElementsAre(199, 200));
}

TEST_P(LogConformance, NumbersAChannelThatKeepsNothing) {
  run_one(open(kOne, "t/a", "e1", {.messages = 0}));
  Outcome outcome = run_one(append(kOne, {entry(1, "a"), entry(2, "b")}));
  EXPECT_EQ(as<Committed>(outcome).first_seq, 3u);
  const Opened opened = open_again({.messages = 0});
  EXPECT_EQ(opened.last_seq, 2u);
  EXPECT_EQ(opened.first_seq, 3u);
  EXPECT_THAT(opened.tail, IsEmpty());
}

TEST_P(LogConformance, DropsWhatIsOlderThanItsTime) {
  const Retention retention{.messages = 1000, .ttl_ms = 100};
  run_one(open(kOne, "t/a", "e1", retention));
  for (std::uint64_t seq = 1; seq <= 90; ++seq)
    run_one(append(kOne, {entry(seq, "m", static_cast<std::int64_t>(seq))}), static_cast<std::int64_t>(seq));
  Outcome outcome = run_one(append(kOne, {entry(91, "m", 150)}), 150);
  EXPECT_EQ(as<Committed>(outcome).first_seq, 51u);
  const Opened opened = open_again(retention, 180);
  EXPECT_EQ(opened.first_seq, 81u);
  EXPECT_EQ(opened.tail.front().seq, 81u);
  EXPECT_EQ(open_again(retention, 1000).first_seq, 92u);
  fill(92, 92, 1000);
  EXPECT_EQ(open_again(retention, 1001).first_seq, 92u);
}

TEST_P(LogConformance, DropsOldestEntriesThatHaveExpired) {
  run_one(open(kOne, "t/a"));
  run_one(
      append(kOne, {entry(1, "a", 0, 50), entry(2, "b", 0, 60), entry(3, "c", 0, 0), entry(4, "d", 0, 50)}));
  const Opened opened = open_again({.messages = 1000}, 70);
  EXPECT_EQ(opened.first_seq, 3u);
  EXPECT_THAT(seqs(opened.tail), ElementsAre(3, 4));  // behind an entry that stays it only is expired
}

// ---- of a folded channel ----

namespace {

constexpr Retention kFoldedTwo{.messages = 2, .folded = true};
constexpr Retention kFoldedTime{.messages = 1000, .ttl_ms = 100, .folded = true};

SaveSnapshot snapshot_at(std::uint64_t seq, std::string_view state = "state") {
  return {.channel = kOne, .seq = seq, .state = SharedBytes(state)};
}

Append append_keeping(std::uint64_t seq, std::uint64_t keep_from, std::uint64_t mark = 0) {
  Append what = append(kOne, {entry(seq, "m" + std::to_string(seq))});
  what.keep_from = keep_from;
  what.mark = mark;
  return what;
}

}  // namespace

TEST_P(LogConformance, AFoldedChannelKeepsWhatNoSnapshotCovers) {
  run_one(open(kOne, "t/a", "e1", kFoldedTwo));
  fill(1, 5);
  Outcome outcome = run_one(append(kOne, {entry(6, "m6")}));
  EXPECT_EQ(as<Committed>(outcome).first_seq, 1u);
  log_->sweep(1'000'000);
  const Opened opened = open_again(kFoldedTwo, 1'000'000);
  EXPECT_EQ(opened.first_seq, 1u);
  EXPECT_THAT(seqs(opened.tail), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_P(LogConformance, ASnapshotFreesWhatItCoversAndNoMore) {
  run_one(open(kOne, "t/a", "e1", kFoldedTwo));
  fill(1, 5);
  run({snapshot_at(3)});
  Outcome outcome = run_one(append(kOne, {entry(6, "m6")}));
  EXPECT_EQ(as<Committed>(outcome).first_seq, 4u);
  log_->reopen();
  EXPECT_EQ(open_again(kFoldedTwo).first_seq, 4u);
  outcome = run({append(kOne, {entry(7, "m7")}), snapshot_at(7), append(kOne, {entry(8, "m8")})})[1];
  EXPECT_EQ(as<Committed>(outcome).first_seq, 7u);
  const Opened opened = open_again(kFoldedTwo);
  EXPECT_EQ(opened.first_seq, 7u);
  EXPECT_EQ(opened.snapshot_seq, 7u);
  EXPECT_THAT(seqs(opened.tail), ElementsAre(7, 8));
}

TEST_P(LogConformance, WhatASnapshotFreesIsGoneWhenItIsOpenedAgain) {
  run_one(open(kOne, "t/a", "e1", kFoldedTwo));
  fill(1, 5);
  run({snapshot_at(5)});
  EXPECT_EQ(open_again(kFoldedTwo).first_seq, 4u);
}

TEST_P(LogConformance, AFoldedChannelsEntriesLeaveByAgeOnceASnapshotCoversThem) {
  run_one(open(kOne, "t/a", "e1", kFoldedTime));
  run_one(append(kOne, {entry(1, "a", 0), entry(2, "b", 0, 50), entry(3, "c", 10), entry(4, "d", 10)}));
  log_->sweep(1000);
  EXPECT_EQ(open_again(kFoldedTime, 1000).first_seq, 1u);
  run({snapshot_at(2)}, 1000);
  log_->sweep(1000);
  EXPECT_EQ(open_again(kFoldedTime, 1000).first_seq, 3u);
  run({snapshot_at(4)}, 1000);
  Outcome outcome = run_one(append(kOne, {entry(5, "e", 1000)}), 1000);
  EXPECT_EQ(as<Committed>(outcome).first_seq, 5u);
}

TEST_P(LogConformance, TheSweepLeavesWhatNoSnapshotCoversInAClosedChannel) {
  run_one(open(kOne, "t/a", "e1", kFoldedTime));
  fill(1, 100, 10);
  run({snapshot_at(70), Close{.channel = kOne}}, 10);
  log_->sweep(1000);
  log_->reopen();
  const Retention unbounded{.messages = 1000};  // so that opening itself drops nothing
  Outcome outcome = run_one(open(kOne, "t/a", "other", unbounded), 1000);
  // An engine that has a sweep has dropped what was free; none drops more.
  EXPECT_TRUE(as<Opened>(outcome).first_seq == 71 || as<Opened>(outcome).first_seq == 1);
  EXPECT_EQ(as<Opened>(outcome).last_seq, 100u);
}

TEST_P(LogConformance, ALargeAppendToAFoldedChannelStaysWhole) {
  run_one(open(kOne, "t/a", "e1", kFoldedTwo));
  std::vector<Entry> entries;
  for (std::uint64_t seq = 1; seq <= 200; ++seq) entries.push_back(entry(seq, "m"));
  Outcome outcome = run_one(append(kOne, std::move(entries)));
  EXPECT_EQ(as<Committed>(outcome).first_seq, 1u);
  outcome = run_one(read(kOne, 0));
  EXPECT_EQ(as<ReadDone>(outcome).entries.size(), 200u);
}

TEST_P(LogConformance, AFoldedChannelThatKeepsNothingKeepsWhatNoSnapshotCovers) {
  const Retention nothing{.messages = 0, .folded = true};
  run_one(open(kOne, "t/a", "e1", nothing));
  fill(1, 3);
  EXPECT_EQ(open_again(nothing).first_seq, 1u);
  run({snapshot_at(3)});
  const Opened opened = open_again(nothing);
  EXPECT_EQ(opened.first_seq, 4u);
  EXPECT_EQ(opened.last_seq, 3u);
  EXPECT_EQ(opened.snapshot.view(), "state");
}

TEST_P(LogConformance, WhatAFoldedChannelsStateStillNeedsStays) {
  run_one(open(kOne, "t/a", "e1", kFoldedTwo));
  fill(1, 5);
  run_one(append_keeping(6, 3));
  run({snapshot_at(6)});
  log_->sweep(1'000'000);
  log_->reopen();
  EXPECT_EQ(open_again(kFoldedTwo).first_seq, 3u);
  Outcome outcome = run_one(append_keeping(7, 0));  // as before
  EXPECT_EQ(as<Committed>(outcome).first_seq, 3u);
  outcome = run_one(append_keeping(8, 5));
  EXPECT_EQ(as<Committed>(outcome).first_seq, 5u);
  run({snapshot_at(8)});
  outcome = run_one(append_keeping(9, 10));  // all may go that the snapshot covers
  EXPECT_EQ(as<Committed>(outcome).first_seq, 8u);
  outcome = run_one(append_keeping(10, 1));  // what is gone stays so
  EXPECT_EQ(as<Committed>(outcome).first_seq, 8u);
  run({snapshot_at(10)});
  EXPECT_EQ(open_again(kFoldedTwo).first_seq, 8u);
}

TEST_P(LogConformance, WhatTheStateNeedsStaysWhenItIsTooOldToo) {
  run_one(open(kOne, "t/a", "e1", kFoldedTime));
  fill(1, 5);
  run_one(append_keeping(6, 3));
  run({snapshot_at(6)});
  log_->sweep(1000);
  EXPECT_EQ(open_again(kFoldedTime, 1000).first_seq, 3u);
  Outcome outcome = run_one(append_keeping(7, 8), 1000);
  EXPECT_EQ(as<Committed>(outcome).first_seq, 7u);
}

TEST_P(LogConformance, ARefusedAppendChangesNeitherWhatIsKeptNorTheMark) {
  run_one(open(kOne, "t/a", "e1", kFoldedTwo));
  fill(1, 5);
  run_one(append_keeping(6, 4, 10));
  run({snapshot_at(6)});
  Outcome outcome = run_one(append_keeping(9, 10, 20));
  EXPECT_TRUE(std::holds_alternative<Failed>(outcome));
  outcome = run_one(append_keeping(7, 0));
  EXPECT_EQ(as<Committed>(outcome).first_seq, 4u);
  EXPECT_EQ(open_again(kFoldedTwo).mark, 10u);
}

TEST_P(LogConformance, AnUnfoldedChannelIsTrimmedWhateverItsSnapshotAndWhatItWasToKeep) {
  const Retention two{.messages = 2};
  run_one(open(kOne, "t/a", "e1", two));
  fill(1, 3);
  run({snapshot_at(1)});
  Outcome outcome = run_one(append_keeping(4, 1));
  EXPECT_EQ(as<Committed>(outcome).first_seq, 3u);
  EXPECT_EQ(open_again(two).first_seq, 3u);
}

TEST_P(LogConformance, AChannelIsFoldedAsItWasLastOpened) {
  run_one(open(kOne, "t/a", "e1", kFoldedTwo));
  fill(1, 5);
  EXPECT_EQ(open_again({.messages = 3}).first_seq, 3u);
  EXPECT_EQ(open_again(kFoldedTwo).first_seq, 3u);
  Outcome outcome = run_one(append(kOne, {entry(6, "m6")}));
  EXPECT_EQ(as<Committed>(outcome).first_seq, 3u);
}

TEST_P(LogConformance, PassesOverASnapshotAboveTheLatestEntry) {
  run_one(open(kOne, "t/a", "e1", kFoldedTwo));
  fill(1, 5);
  run({append(kOne, {entry(7, "x")}), snapshot_at(6), snapshot_at(9)});
  log_->sweep(0);
  log_->reopen();
  const Opened opened = open_again(kFoldedTwo);
  EXPECT_EQ(opened.snapshot_seq, 0u);
  EXPECT_FALSE(opened.snapshot);
  EXPECT_EQ(opened.first_seq, 1u);
}

TEST_P(LogConformance, PassesOverASnapshotThatIsOlderThanTheOneThatIsThere) {
  run_one(open(kOne, "t/a", "e1", kFoldedTwo));
  fill(1, 5);
  run({snapshot_at(4, "four"), snapshot_at(3, "three"), snapshot_at(4, "again")});
  run_one(append(kOne, {entry(6, "m6")}));
  const Opened opened = open_again(kFoldedTwo);
  EXPECT_EQ(opened.snapshot_seq, 4u);
  EXPECT_EQ(opened.snapshot.view(), "again");
  EXPECT_EQ(opened.first_seq, 5u);
}

}  // namespace tidewire::log
