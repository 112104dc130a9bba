// What log.h promises, sentence by sentence, on every engine; and random operations against a naive model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <future>
#include <map>
#include <random>

#include "log/log_under_test.h"

namespace tidewire::log {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Handle kOne{.index = 1, .generation = 1};
constexpr Handle kTwo{.index = 2, .generation = 1};

Open open(Handle channel, std::string name, std::string epoch = "e1",
          Retention retention = {.messages = 1000}) {
  return {.channel = channel,
          .name = std::move(name),
          .epoch = std::move(epoch),
          .retention = retention,
          .tail_messages = 100,
          .tail_bytes = 1u << 20};
}

Append append(Handle channel, std::vector<Entry> entries, std::vector<KeyUse> keys = {},
              std::uint64_t number = 0) {
  return {.channel = channel, .number = number, .entries = std::move(entries), .keys = std::move(keys)};
}

Read read(Handle channel, std::uint64_t after, std::size_t messages_max = 1000,
          std::size_t bytes_max = 1u << 20) {
  return {
      .channel = channel, .number = 7, .after = after, .messages_max = messages_max, .bytes_max = bytes_max};
}

std::vector<std::uint64_t> seqs(const std::vector<Entry>& entries) {
  std::vector<std::uint64_t> all;
  for (const Entry& each : entries) all.push_back(each.seq);
  return all;
}

std::vector<std::string> names(const std::vector<KeyUse>& keys) {
  std::vector<std::string> all;
  for (const KeyUse& each : keys) all.push_back(each.name);
  return all;
}

struct Engine {
  const char* name;
  std::unique_ptr<LogUnderTest> (*make)();
};

class LogConformance : public ::testing::TestWithParam<Engine> {
 protected:
  std::vector<Outcome> run(std::vector<Operation> operations, std::int64_t now_ms = 0) {
    return log_->run(std::move(operations), now_ms);
  }
  Outcome run_one(Operation operation, std::int64_t now_ms = 0) {
    std::vector<Outcome> outcomes = run({std::move(operation)}, now_ms);
    EXPECT_EQ(outcomes.size(), 1u);
    return std::move(outcomes.front());
  }
  Opened open_again(Retention retention = {.messages = 1000}, std::int64_t now_ms = 0) {
    run({Close{.channel = kOne}}, now_ms);
    Outcome outcome = run_one(open(kOne, "t/a", "other", retention), now_ms);
    return std::get<Opened>(std::move(outcome));
  }
  void fill(std::uint64_t first, std::uint64_t last, std::int64_t timestamp_ms = 0) {
    for (std::uint64_t seq = first; seq <= last; ++seq)
      ASSERT_TRUE(std::holds_alternative<Committed>(
          run_one(append(kOne, {entry(seq, "m" + std::to_string(seq), timestamp_ms)}), timestamp_ms)));
  }

  std::unique_ptr<LogUnderTest> log_ = GetParam().make();
};

}  // namespace

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
  log_->log().forget_revocations(70);
  save("v", "cid", 90);  // behind it in the queue
  EXPECT_THAT(log_->log().revocations(),
              ::testing::UnorderedElementsAre(Revocation{"t", "ann", 100}, Revocation{"t", "bob", 70},
                                              Revocation{"v", "cid", 90}));
  if (log_->reopen()) {
    EXPECT_EQ(log_->log().revocations().size(), 3u);
  }
}

// ---- random operations ----

namespace {

// What a channel should have: everything that was ever committed, and what must still be there.
struct Model {
  std::string epoch;
  Retention retention;
  std::deque<Entry> entries;  // all, from seq 1
  std::vector<KeyUse> keys;
  std::uint64_t snapshot_seq = 0;
  std::string snapshot;
  std::optional<Handle> open_as;

  std::uint64_t last() const { return entries.size(); }
  // Entries below may be gone, by the rules of now or of before.
  std::uint64_t floor = 1;
  void settle(std::int64_t now_ms) {
    floor = std::max(floor, last() - std::min<std::uint64_t>(last(), retention.messages) + 1);
    while (floor <= last()) {
      const Entry& oldest = entries[floor - 1];
      const bool too_old = retention.ttl_ms != 0 && oldest.timestamp_ms + retention.ttl_ms <= now_ms;
      if (!too_old && !oldest.expired(now_ms)) return;
      ++floor;
    }
  }
};

class RandomRun {
 public:
  RandomRun(LogUnderTest& log, std::uint32_t seed) : log_(log), random_(seed) {}

  void run(int rounds) {
    for (int round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
      now_ms_ += static_cast<std::int64_t>(below(30));
      if (below(40) == 0 && log_.reopen())
        for (auto& [name, model] : models_) model.open_as.reset();
      if (below(10) == 0) {
        for (auto& [name, model] : models_) model.settle(now_ms_);
        log_.sweep(now_ms_);
      }
      turn();
    }
  }

 private:
  std::uint64_t below(std::uint64_t bound) {
    return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(random_);
  }
  std::string text() { return std::string(below(40), static_cast<char>('a' + below(26))); }

  void turn() {
    std::vector<Operation> operations;
    std::vector<std::function<void(Outcome&&)>> expected;
    for (std::uint64_t count = below(8) + 1; count > 0; --count) add(operations, expected);
    std::vector<Outcome> outcomes = log_.run(std::move(operations), now_ms_);
    // Order holds per channel only; a single shard's answers are all in order on both engines.
    ASSERT_EQ(outcomes.size(), expected.size());
    for (std::size_t i = 0; i < outcomes.size(); ++i) expected[i](std::move(outcomes[i]));
  }

  void add(std::vector<Operation>& operations, std::vector<std::function<void(Outcome&&)>>& expected) {
    const std::string name = "t/" + std::to_string(below(4));
    Model& model = models_[name];
    if (!model.open_as) {
      open_channel(name, model, operations, expected);
      return;
    }
    switch (below(12)) {
      case 0:
        operations.push_back(Close{.channel = *model.open_as});
        model.open_as.reset();
        return;
      case 1:
        model.snapshot_seq = model.last();
        model.snapshot = text();
        operations.push_back(SaveSnapshot{
            .channel = *model.open_as, .seq = model.snapshot_seq, .state = SharedBytes(model.snapshot)});
        return;
      case 2: {
        std::uint64_t seq = model.last() + 2 + below(3);
        operations.push_back(append(*model.open_as, {entry(seq, "no")}, {}, seq));
        expected.push_back([seq](Outcome&& outcome) { EXPECT_EQ(as<Failed>(outcome).number, seq); });
        return;
      }
      case 3:
      case 4:
      case 5:
        read_channel(model, operations, expected);
        return;
      default:
        append_to(model, operations, expected);
    }
  }

  void open_channel(const std::string& name, Model& model, std::vector<Operation>& operations,
                    std::vector<std::function<void(Outcome&&)>>& expected) {
    model.open_as = Handle{.index = next_handle_++, .generation = 1};
    model.retention = {.messages = below(3) == 0 ? below(5) : 50 + below(200),
                       .ttl_ms = below(2) == 0 ? 0 : static_cast<std::int64_t>(100 + below(500))};
    Open what = open(*model.open_as, name, "e" + std::to_string(next_handle_), model.retention);
    if (model.epoch.empty()) model.epoch = what.epoch;
    model.settle(now_ms_);
    what.tail_messages = below(20);
    what.tail_bytes = below(400);
    const std::size_t messages = what.tail_messages, bytes = what.tail_bytes;
    operations.push_back(std::move(what));
    std::vector<std::string> keys;
    for (const KeyUse& use : model.keys)
      if (use.until_ms > now_ms_) keys.push_back(use.name);
    expected.push_back([=, then = model](Outcome&& outcome) {
      const auto& opened = as<Opened>(outcome);
      EXPECT_EQ(opened.epoch, then.epoch);
      EXPECT_EQ(opened.last_seq, then.last());
      EXPECT_LE(opened.first_seq, then.floor);
      EXPECT_LE(opened.last_seq + 1 - opened.first_seq, then.retention.messages);
      EXPECT_THAT(names(opened.keys), ::testing::ElementsAreArray(keys));
      EXPECT_EQ(opened.snapshot_seq, then.snapshot_seq);
      EXPECT_EQ(opened.snapshot.view(), then.snapshot);
      EXPECT_LE(opened.tail.size(), messages);
      if (!opened.tail.empty()) check(opened.tail, then, then.last() + 1 - opened.tail.size());
      const bool whole = opened.tail.size() == then.last() + 1 - opened.first_seq;
      std::size_t has = 0;
      for (const Entry& each : opened.tail) has += each.body.size();
      EXPECT_TRUE(whole || opened.tail.size() == messages || has >= bytes);
    });
  }

  void append_to(Model& model, std::vector<Operation>& operations,
                 std::vector<std::function<void(Outcome&&)>>& expected) {
    std::vector<Entry> entries;
    std::vector<KeyUse> keys;
    for (std::uint64_t count = below(4) == 0 ? below(150) + 1 : 1; count > 0; --count) {
      const std::int64_t expires_ms = below(5) == 0 ? now_ms_ + static_cast<std::int64_t>(below(200)) : 0;
      entries.push_back(entry(model.last() + 1, text(), now_ms_, expires_ms));
      model.entries.push_back(entries.back());
      if (below(3) == 0) {
        keys.push_back({.name = text(), .seq = model.last(), .until_ms = now_ms_ + 300});
        model.keys.push_back(keys.back());
      }
    }
    model.settle(now_ms_);
    operations.push_back(append(*model.open_as, std::move(entries), std::move(keys)));
    expected.push_back([then = model](Outcome&& outcome) {
      const auto& committed = as<Committed>(outcome);
      EXPECT_EQ(committed.last_seq, then.last());
      EXPECT_LE(committed.first_seq, then.floor);
      EXPECT_LE(committed.last_seq + 1 - committed.first_seq, then.retention.messages);
    });
  }

  void read_channel(Model& model, std::vector<Operation>& operations,
                    std::vector<std::function<void(Outcome&&)>>& expected) {
    model.settle(now_ms_);
    const std::uint64_t after = below(model.last() + 3);
    const std::size_t messages = 1 + below(30), bytes = 1 + below(500);
    operations.push_back(read(*model.open_as, after, messages, bytes));
    expected.push_back([=, last = model.last(), &model](Outcome&& outcome) {
      const auto& done = as<ReadDone>(outcome);
      std::size_t has = 0;
      for (const Entry& each : done.entries) has += each.body.size();
      EXPECT_LE(done.entries.size(), messages);
      // What this turn appends behind the read may already have pushed the oldest out.
      EXPECT_LE(done.first_seq, model.floor);
      const std::uint64_t first = std::max(after + 1, done.first_seq);
      if (first > last) {
        EXPECT_TRUE(done.entries.empty());
        return;
      }
      ASSERT_FALSE(done.entries.empty());
      check(done.entries, model, first);
      EXPECT_LE(done.entries.back().seq, last);
      EXPECT_TRUE(done.entries.back().seq == last || done.entries.size() == messages || has >= bytes);
    });
  }

  static void check(const std::vector<Entry>& entries, const Model& model, std::uint64_t first) {
    for (const Entry& each : entries) {
      ASSERT_EQ(each.seq, first);
      const Entry& wanted = model.entries.at(first++ - 1);
      EXPECT_EQ(each.body, wanted.body);
      EXPECT_EQ(each.timestamp_ms, wanted.timestamp_ms);
      EXPECT_EQ(each.expires_ms, wanted.expires_ms);
    }
  }

  LogUnderTest& log_;
  std::mt19937 random_;
  std::map<std::string, Model> models_;
  std::uint32_t next_handle_ = 1;
  std::int64_t now_ms_ = 1000;
};

}  // namespace

TEST_P(LogConformance, AgreesWithANaiveModelOnRandomOperations) {
  for (std::uint32_t seed = 1; seed <= 6 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const auto log = GetParam().make();
    RandomRun(*log, seed).run(200);
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, LogConformance,
                         ::testing::Values(Engine{"memory", memory_under_test},
                                           Engine{"rocksdb", rocksdb_under_test}),
                         [](const auto& engine) { return std::string(engine.param.name); });

}  // namespace tidewire::log
