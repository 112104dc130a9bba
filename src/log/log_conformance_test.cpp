// What log.h promises, sentence by sentence, on every engine. Retention has a file of its own.
#include "log/log_conformance.h"

#include <future>

namespace tidewire::log {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(LogConformance, MakesAChannelUnderTheEpochThatItWasOpenedWith) {
  Outcome outcome = run_one(open(kOne, "t/a", "e1"));
  const auto& opened = as<Opened>(outcome);
  EXPECT_EQ(opened.channel, kOne);
  EXPECT_EQ(opened.epoch, "e1");
  EXPECT_EQ(opened.first_seq, 1u);
  EXPECT_EQ(opened.last_seq, 0u);
  EXPECT_THAT(opened.tail, IsEmpty());
  EXPECT_THAT(opened.keys, IsEmpty());
  EXPECT_FALSE(opened.snapshot);
}

TEST_P(LogConformance, KeepsTheEpochOfAChannelThatIsThere) {
  run_one(open(kOne, "t/a", "e1"));
  EXPECT_EQ(open_again().epoch, "e1");
}

TEST_P(LogConformance, KeepsWhatAChannelHasWhileItIsClosed) {
  run_one(open(kOne, "t/a"));
  fill(1, 3);
  const Opened opened = open_again();
  EXPECT_EQ(opened.first_seq, 1u);
  EXPECT_EQ(opened.last_seq, 3u);
  EXPECT_THAT(seqs(opened.tail), ElementsAre(1, 2, 3));
  EXPECT_EQ(opened.tail[1].body.view(), "m2");
}

TEST_P(LogConformance, OpensAChannelUnderAnotherHandleAfterClose) {
  run_one(open(kOne, "t/a"));
  fill(1, 2);
  std::vector<Outcome> outcomes = run({append(kOne, {entry(3, "m3")}), Close{.channel = kOne},
                                       open(kTwo, "t/a"), append(kTwo, {entry(4, "m4")})});
  ASSERT_EQ(outcomes.size(), 3u);
  EXPECT_EQ(as<Committed>(outcomes[0]).last_seq, 3u);
  EXPECT_EQ(as<Opened>(outcomes[1]).last_seq, 3u);
  EXPECT_EQ(as<Opened>(outcomes[1]).channel, kTwo);
  EXPECT_EQ(as<Committed>(outcomes[2]).last_seq, 4u);
}

TEST_P(LogConformance, AnswersOneChannelsOperationsInTheOrderOfSubmission) {
  std::vector<Outcome> outcomes = run(
      {open(kOne, "t/a"), append(kOne, {entry(1, "a")}), read(kOne, 0), append(kOne, {entry(2, "b")}, {}, 9),
       append(kOne, {entry(9, "x")}, {}, 10), read(kOne, 0), append(kOne, {entry(3, "c")})});
  ASSERT_EQ(outcomes.size(), 7u);
  EXPECT_EQ(as<Opened>(outcomes[0]).last_seq, 0u);
  EXPECT_EQ(as<Committed>(outcomes[1]).last_seq, 1u);
  EXPECT_EQ(as<Committed>(outcomes[3]).last_seq, 2u);
  EXPECT_EQ(as<Failed>(outcomes[4]).number, 10u);
  EXPECT_EQ(as<Committed>(outcomes[6]).last_seq, 3u);
}

TEST_P(LogConformance, AReadFindsWhatWasAppendedBeforeItAndNoMore) {
  run_one(open(kOne, "t/a"));
  std::vector<Outcome> outcomes =
      run({append(kOne, {entry(1, "a")}), read(kOne, 0), append(kOne, {entry(2, "b")})});
  EXPECT_THAT(seqs(as<ReadDone>(outcomes[1]).entries), ElementsAre(1));
}

TEST_P(LogConformance, AnAppendMayHoldSeveralEntries) {
  run_one(open(kOne, "t/a"));
  Outcome outcome = run_one(append(kOne, {entry(1, "a"), entry(2, "b"), entry(3, "c")}));
  EXPECT_EQ(as<Committed>(outcome).last_seq, 3u);
  outcome = run_one(read(kOne, 1));
  EXPECT_THAT(seqs(as<ReadDone>(outcome).entries), ElementsAre(2, 3));
  EXPECT_EQ(as<ReadDone>(outcome).number, 7u);
}

TEST_P(LogConformance, KeepsTimestampsExpiryAndAnyBytes) {
  run_one(open(kOne, "t/a"));
  const std::string body("\0\xff\"\n", 4);
  run_one(append(kOne, {entry(1, body, 1234, 5678)}));
  run_one(append(kOne, {entry(2, "", -5, 0)}));
  Outcome outcome = run_one(read(kOne, 0));
  const auto& entries = as<ReadDone>(outcome).entries;
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].body.view(), body);
  EXPECT_EQ(entries[0].timestamp_ms, 1234);
  EXPECT_EQ(entries[0].expires_ms, 5678);
  EXPECT_EQ(entries[1].timestamp_ms, -5);
  EXPECT_EQ(entries[1].body.view(), "");
}

TEST_P(LogConformance, RefusesSeqsThatDoNotFollowTheLatest) {
  run_one(open(kOne, "t/a"));
  fill(1, 2);
  for (const std::uint64_t seq : {0, 1, 2, 4}) {
    Outcome outcome = run_one(append(kOne, {entry(seq, "x")}, {}, 40 + seq));
    const auto& failed = as<Failed>(outcome);
    EXPECT_EQ(failed.what, Failed::What::append);
    EXPECT_EQ(failed.number, 40 + seq);
    EXPECT_EQ(failed.error.code, ErrorCode::unavailable);
  }
  EXPECT_EQ(open_again().last_seq, 2u);
}

TEST_P(LogConformance, WhatWasSubmittedBehindAFailedAppendFailsToo) {
  run_one(open(kOne, "t/a"));
  std::vector<Outcome> outcomes = run({append(kOne, {entry(2, "x")}), append(kOne, {entry(3, "y")})});
  EXPECT_TRUE(std::holds_alternative<Failed>(outcomes[0]));
  EXPECT_TRUE(std::holds_alternative<Failed>(outcomes[1]));
  Outcome outcome = run_one(append(kOne, {entry(1, "a")}));
  EXPECT_EQ(as<Committed>(outcome).last_seq, 1u);
}

TEST_P(LogConformance, AReadStopsAtItsBoundsButHasAtLeastOneEntry) {
  run_one(open(kOne, "t/a"));
  fill(1, 9);
  const auto page = [&](Read what) {
    Outcome outcome = run_one(std::move(what));
    return seqs(as<ReadDone>(outcome).entries);
  };
  EXPECT_THAT(page(read(kOne, 0, 3)), ElementsAre(1, 2, 3));
  EXPECT_THAT(page(read(kOne, 7, 3)), ElementsAre(8, 9));
  EXPECT_THAT(page(read(kOne, 9, 3)), IsEmpty());
  EXPECT_THAT(page(read(kOne, 50, 3)), IsEmpty());
  EXPECT_THAT(page(read(kOne, 2, 100, 1)), ElementsAre(3));
  EXPECT_THAT(page(read(kOne, 2, 100, 0)), ElementsAre(3));
  EXPECT_THAT(page(read(kOne, 2, 100, 3)), ElementsAre(3, 4));
}

TEST_P(LogConformance, BringsTheTailThatWasAskedFor) {
  run_one(open(kOne, "t/a"));
  fill(1, 9);
  const auto tail = [&](std::size_t messages, std::size_t bytes) {
    run({Close{.channel = kOne}});
    Open what = open(kOne, "t/a");
    what.tail_messages = messages;
    what.tail_bytes = bytes;
    Outcome outcome = run_one(std::move(what));
    EXPECT_EQ(as<Opened>(outcome).first_seq, 1u);
    return seqs(as<Opened>(outcome).tail);
  };
  EXPECT_THAT(tail(3, 1000), ElementsAre(7, 8, 9));
  EXPECT_THAT(tail(100, 4), ElementsAre(8, 9));
  EXPECT_THAT(tail(0, 1000), IsEmpty());
}

TEST_P(LogConformance, BringsTheIdempotencyKeysThatAreStillInUse) {
  run_one(open(kOne, "t/a"));
  run_one(append(kOne, {entry(1, "a")}, {{.name = "k1", .seq = 1, .until_ms = 100}}));
  run_one(append(kOne, {entry(2, "b")}));
  run_one(append(kOne, {entry(3, "c")}, {{.name = std::string("k\0\xff", 3), .seq = 3, .until_ms = 200}}));
  run_one(append(kOne, {entry(4, "d")}, {{.name = "k4", .seq = 4, .until_ms = 300}}));
  Opened opened = open_again({.messages = 1}, 50);  // longer than the entries that they stand for
  EXPECT_THAT(names(opened.keys), ElementsAre("k1", std::string("k\0\xff", 3), "k4"));
  EXPECT_EQ(opened.keys[1].seq, 3u);
  EXPECT_EQ(opened.keys[1].until_ms, 200);
  EXPECT_THAT(names(open_again({.messages = 1}, 200).keys), ElementsAre("k4"));
  EXPECT_THAT(names(open_again({.messages = 1}, 300).keys), IsEmpty());
}

TEST_P(LogConformance, KeysOfARefusedAppendAreNotKept) {
  run_one(open(kOne, "t/a"));
  run_one(append(kOne, {entry(5, "a")}, {{.name = "k", .seq = 5, .until_ms = 100}}));
  EXPECT_THAT(open_again().keys, IsEmpty());
}

TEST_P(LogConformance, KeepsTheLatestSnapshot) {
  run_one(open(kOne, "t/a"));
  fill(1, 2);
  run({SaveSnapshot{.channel = kOne, .seq = 1, .state = SharedBytes("one")},
       SaveSnapshot{.channel = kOne, .seq = 2, .state = SharedBytes("two")}});
  const Opened opened = open_again();
  EXPECT_EQ(opened.snapshot_seq, 2u);
  EXPECT_EQ(opened.snapshot.view(), "two");
}

TEST_P(LogConformance, KeepsTheHighestMark) {
  run_one(open(kOne, "t/a"));
  EXPECT_EQ(open_again().mark, 0u);
  run({SaveMark{.channel = kOne, .mark = 7}, SaveMark{.channel = kOne, .mark = 3}});
  EXPECT_EQ(open_again().mark, 7u);
  Append higher = append(kOne, {entry(1, "a")});
  higher.mark = 9;
  Append lower = append(kOne, {entry(2, "b")});
  lower.mark = 8;
  run({std::move(higher), std::move(lower), append(kOne, {entry(3, "c")})});
  log_->reopen();
  EXPECT_EQ(open_again().mark, 9u);
  run({SaveMark{.channel = kOne, .mark = 8}, Close{.channel = kOne}, open(kTwo, "t/a")});
  run({SaveMark{.channel = kTwo, .mark = 12}, Close{.channel = kTwo}});
  Outcome outcome = run_one(open(kOne, "t/a"));
  EXPECT_EQ(as<Opened>(outcome).mark, 12u);
}

TEST_P(LogConformance, ChannelsAndShardsAreApart) {
  run({open(kOne, "t/a"), open(kTwo, "t/b", "e2"), append(kOne, {entry(1, "a")}),
       append(kTwo, {entry(1, "b")})});
  log_->run({open(kOne, "t/c", "e3"), append(kOne, {entry(1, "c")})}, 0, 1);
  Outcome outcome = run_one(read(kTwo, 0));
  EXPECT_EQ(as<ReadDone>(outcome).entries.at(0).body.view(), "b");
  outcome = run_one(read(kOne, 0));
  EXPECT_EQ(as<ReadDone>(outcome).entries.at(0).body.view(), "a");
  outcome = std::move(log_->run({read(kOne, 0)}, 0, 1).at(0));
  EXPECT_EQ(as<ReadDone>(outcome).entries.at(0).body.view(), "c");
}

TEST_P(LogConformance, RevocationsOnlyMoveForwardInTime) {
  const auto save = [&](std::string tenant, std::string user, std::int64_t before_ms) {
    std::promise<Result<void>> saved;
    log_->log().save_revocation(
        {.tenant = std::move(tenant), .user_id = std::move(user), .before_ms = before_ms},
        [&](Result<void> result) { saved.set_value(std::move(result)); });
    EXPECT_TRUE(saved.get_future().get());
  };
  save("t", "ann", 100);
  save("t", "ann", 50);
  save("t", "bob", 70);
  save("u", "ann", 60);
  EXPECT_THAT(log_->log().revocations(),
              ::testing::UnorderedElementsAre(Revocation{"t", "ann", 100}, Revocation{"t", "bob", 70},
                                              Revocation{"u", "ann", 60}));
  if (log_->reopen()) {
    EXPECT_EQ(log_->log().revocations().size(), 3u);
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, LogConformance,
                         ::testing::Values(Engine{"memory", memory_under_test},
                                           Engine{"rocksdb", rocksdb_under_test}),
                         [](const auto& engine) { return std::string(engine.param.name); });

}  // namespace tidewire::log
