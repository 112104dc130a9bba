// Random operations on every engine, against a naive model.
#include "log/log_model.h"

#include <map>

#include "log/log_conformance.h"

namespace tidewire::log {

namespace {

class RandomRun {
 public:
  RandomRun(LogUnderTest& log, std::uint32_t seed) : log_(log), make_(seed) {}

  void run(int rounds) {
    for (int round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
      now_ms_ += static_cast<std::int64_t>(make_.below(30));
      if (make_.below(40) == 0 && log_.reopen())
        for (auto& [name, channel] : channels_) channel.model.open_as.reset();
      if (make_.below(10) == 0) sweep();
      turn();
    }
  }

 private:
  struct Channel {
    std::string name;
    Model model;
    bool forgotten = false;  // perhaps: it was swept while closed and never written to
  };
  using Check = std::function<void(Outcome&&)>;

  void sweep() {
    for (auto& [index, channel] : channels_) {
      const Model& model = channel.model;
      channel.model.settle(now_ms_);
      channel.forgotten |= !model.open_as && model.last() == 0 && model.mark == 0;
    }
    log_.sweep(now_ms_);
  }

  void turn() {
    std::vector<Operation> operations;
    std::vector<Check> checks;
    for (std::uint64_t count = make_.below(8) + 1; count > 0; --count) add(operations, checks);
    std::vector<Outcome> outcomes = log_.run(std::move(operations), now_ms_);
    // Order holds per channel only; a single shard's answers are all in order on both engines.
    ASSERT_EQ(outcomes.size(), checks.size());
    for (std::size_t i = 0; i < outcomes.size(); ++i) checks[i](std::move(outcomes[i]));
  }

  void add(std::vector<Operation>& operations, std::vector<Check>& checks) {
    const std::uint64_t index = make_.below(4);
    Channel& channel = channels_[index];
    Model& model = channel.model;
    if (!model.open_as) {
      channel.name = "t/" + std::to_string(index);
      Open what = make_.open(model, channel.name, index >= 2 && make_.below(8) != 0, now_ms_);
      checks.push_back(is_opened(channel, what.tail_messages, what.tail_bytes, what.epoch,
                                 std::exchange(channel.forgotten, false)));
      operations.push_back(std::move(what));
      return;
    }
    switch (make_.below(14)) {
      case 0:
        operations.push_back(Close{.channel = *std::exchange(model.open_as, std::nullopt)});
        return;
      case 1:
      case 2:
        // A channel that is forgotten loses a state of nothing, and nobody has one.
        if (model.last() > 0) operations.push_back(make_.snapshot(model));
        return;
      case 3:
        operations.push_back(make_.mark(model));
        return;
      case 4:
        operations.push_back(make_.refused_append(model));
        checks.push_back([number = std::get<Append>(operations.back()).number](Outcome&& outcome) {
          EXPECT_EQ(as<Failed>(outcome).number, number);
        });
        return;
      case 5:
      case 6:
      case 7:
        read_channel(model, operations, checks);
        return;
      default:
        operations.push_back(make_.append(model, 150, now_ms_));
        checks.push_back([then = model](Outcome&& outcome) {
          const auto& committed = as<Committed>(outcome);
          EXPECT_EQ(committed.last_seq, then.last());
          EXPECT_LE(committed.first_seq, then.floor);
          EXPECT_GE(committed.first_seq, then.first_by_count());
        });
    }
  }

  Check is_opened(Channel& channel, std::size_t messages, std::size_t bytes, std::string offered,
                  bool forgotten) {
    return [=, this, then = channel.model, &channel](Outcome&& outcome) mutable {
      const auto& opened = as<Opened>(outcome);
      if (forgotten && opened.epoch == offered) channel.model.epoch = offered;
      then.epoch = channel.model.epoch;
      EXPECT_EQ(then.unlike(opened, now_ms_), "");
      EXPECT_LE(opened.tail.size(), messages);
      if (!opened.tail.empty()) then.expect_has(opened.tail, then.last() + 1 - opened.tail.size());
      const bool whole = opened.tail.size() == then.last() + 1 - opened.first_seq;
      std::size_t has = 0;
      for (const Entry& each : opened.tail) has += each.body.size();
      EXPECT_TRUE(whole || opened.tail.size() == messages || has >= bytes);
    };
  }

  void read_channel(Model& model, std::vector<Operation>& operations, std::vector<Check>& checks) {
    model.settle(now_ms_);
    const std::uint64_t after = make_.below(model.last() + 3);
    const std::size_t messages = 1 + make_.below(30), bytes = 1 + make_.below(500);
    operations.push_back(read(*model.open_as, after, messages, bytes));
    checks.push_back([=, last = model.last(), &model](Outcome&& outcome) {
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
      model.expect_has(done.entries, first);
      EXPECT_LE(done.entries.back().seq, last);
      EXPECT_TRUE(done.entries.back().seq == last || done.entries.size() == messages || has >= bytes);
    });
  }

  LogUnderTest& log_;
  RandomOperations make_;
  std::map<std::uint64_t, Channel> channels_;
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
