// Random operations on every engine, against a naive model.
#include <deque>
#include <map>
#include <optional>
#include <random>

#include "log/log_conformance.h"

namespace tidewire::log {

namespace {

// What a channel should have: everything that was ever committed, and what must still be there.
struct Model {
  std::string epoch;
  bool forgotten = false;  // perhaps: it was swept while closed and never written to
  Retention retention;
  std::deque<Entry> entries;  // all, from seq 1
  std::vector<KeyUse> keys;
  std::uint64_t snapshot_seq = 0;
  std::string snapshot;
  std::uint64_t keep_from = 0;
  std::uint64_t mark = 0;
  std::optional<Handle> open_as;

  std::uint64_t last() const { return entries.size(); }
  // What is from here on must not go.
  std::uint64_t needed_from() const {
    if (!retention.folded) return last() + 1;
    return keep_from == 0 ? snapshot_seq + 1 : std::min(snapshot_seq + 1, keep_from);
  }
  // What is below must go.
  std::uint64_t first_by_count() const {
    return std::min(last() - std::min<std::uint64_t>(last(), retention.messages) + 1, needed_from());
  }
  // Entries below may be gone, by the rules of now or of before.
  std::uint64_t floor = 1;
  void settle(std::int64_t now_ms) {
    floor = std::max(floor, first_by_count());
    while (floor < needed_from()) {
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
        for (auto& [name, model] : models_) {
          model.settle(now_ms_);
          model.forgotten |= !model.open_as && model.last() == 0 && model.mark == 0;
        }
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
    switch (below(14)) {
      case 0:
        operations.push_back(Close{.channel = *model.open_as});
        model.open_as.reset();
        return;
      case 1:
      case 12:
        save_snapshot(model, operations);
        return;
      case 13: {
        const std::uint64_t mark = below(1000);
        operations.push_back(SaveMark{.channel = *model.open_as, .mark = mark});
        model.mark = std::max(model.mark, mark);
        return;
      }
      case 2: {
        std::uint64_t seq = model.last() + 2 + below(3);
        operations.push_back(append(*model.open_as, {entry(seq, "no")}, {}, seq));
        std::get<Append>(operations.back()).mark = 5000;
        std::get<Append>(operations.back()).keep_from = seq + 1;
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

  void save_snapshot(Model& model, std::vector<Operation>& operations) {
    if (model.last() == 0) return;
    SaveSnapshot save{.channel = *model.open_as, .seq = model.last(), .state = SharedBytes(text())};
    switch (below(4)) {
      case 0:
        save.seq += 1;
        break;
      case 1:
        save.seq = below(model.last() + 1);
        break;
      default:
        break;
    }
    if (save.seq >= model.snapshot_seq && save.seq <= model.last()) {
      model.snapshot_seq = save.seq;
      model.snapshot = save.state.view();
    }
    operations.push_back(std::move(save));
  }

  void open_channel(const std::string& name, Model& model, std::vector<Operation>& operations,
                    std::vector<std::function<void(Outcome&&)>>& expected) {
    model.open_as = Handle{.index = next_handle_++, .generation = 1};
    model.retention = {.messages = below(3) == 0 ? below(5) : 50 + below(200),
                       .ttl_ms = below(2) == 0 ? 0 : static_cast<std::int64_t>(100 + below(500)),
                       .folded = name >= "t/2" && below(8) != 0};
    Open what = open(*model.open_as, name, "e" + std::to_string(next_handle_), model.retention);
    const bool forgotten = std::exchange(model.forgotten, false);
    if (model.epoch.empty()) model.epoch = what.epoch;
    model.settle(now_ms_);
    what.tail_messages = below(20);
    what.tail_bytes = below(400);
    const std::size_t messages = what.tail_messages, bytes = what.tail_bytes;
    const std::string offered = what.epoch;
    operations.push_back(std::move(what));
    std::vector<std::string> keys;
    for (const KeyUse& use : model.keys)
      if (use.until_ms > now_ms_) keys.push_back(use.name);
    expected.push_back([=, then = model, &model](Outcome&& outcome) {
      const auto& opened = as<Opened>(outcome);
      if (forgotten && opened.epoch == offered) model.epoch = offered;
      EXPECT_EQ(opened.epoch, model.epoch);
      EXPECT_EQ(opened.last_seq, then.last());
      EXPECT_LE(opened.first_seq, then.floor);
      EXPECT_GE(opened.first_seq, then.first_by_count());
      EXPECT_EQ(opened.mark, then.mark);
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
    Append what = append(*model.open_as, std::move(entries), std::move(keys));
    if (below(4) == 0)
      what.keep_from = model.keep_from = below(3) == 0 ? model.last() + 1 : 1 + below(model.last());
    if (below(4) == 0) what.mark = below(1000);
    model.mark = std::max(model.mark, what.mark);
    model.settle(now_ms_);
    operations.push_back(std::move(what));
    expected.push_back([then = model](Outcome&& outcome) {
      const auto& committed = as<Committed>(outcome);
      EXPECT_EQ(committed.last_seq, then.last());
      EXPECT_LE(committed.first_seq, then.floor);
      EXPECT_GE(committed.first_seq, then.first_by_count());
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

}  // namespace tidewire::log
