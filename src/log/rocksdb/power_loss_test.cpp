// Whole lives of a store that end in a power failure or a kill at a random moment: what is found afterwards
// is, for each channel, what a prefix of its operations makes, with all that was acknowledged in it.
//
// TIDEWIRE_POWER_LOSS_RUNS sets how many runs (24 by default), TIDEWIRE_POWER_LOSS_SEED the first one's seed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <future>
#include <map>

#include "log/log_model.h"
#include "log/rocksdb/store_rig.h"

namespace tidewire::log {

namespace {

class PowerLossRun {
 public:
  explicit PowerLossRun(std::uint32_t seed) : make_(seed, 1500) {
    // Small, so that flushes, compactions and new write-ahead logs are under way.
    rig_.options.write_buffer_bytes = 256u << 10;
    rig_.options.wal_bytes_max = 256u << 10;
    for (std::uint32_t i = 0; i < 5; ++i) channels_.push_back(Channel{.name = "t/" + std::to_string(i)});
  }

  void run(int lives) {
    for (int life = 0; life < lives && !::testing::Test::HasFailure(); ++life) {
      begin();
      if (::testing::Test::HasFailure()) return;
      count_down(1 + make_.below(600));
      while (!round()) {
      }
      end();
    }
  }

 private:
  struct Channel {
    std::string name;
    // What it may be found as: as it was when it was last acknowledged, and after each operation since.
    std::deque<Model> states{1};
    Model& latest() { return states.back(); }
    Model& next() { return states.emplace_back(states.back()); }
    void acknowledged(std::uint64_t last_seq) {
      while (states.front().last() < last_seq) states.pop_front();
    }
  };
  std::uint16_t shard_of(const Channel& channel) const {
    return static_cast<std::uint16_t>((&channel - channels_.data()) % kTestShards);
  }

  // The power goes at the nth change of a file.
  void count_down(std::uint64_t changes) {
    rig_.machine.files->set_judge([left = changes](FaultyFileSystem::Change, const std::string&) mutable {
      if (left > 0) --left;
      return left > 0 ? rocksdb::IOStatus::OK() : rocksdb::IOStatus::IOError("the power is cut");
    });
  }

  void end() {
    rig_.machine.files->cut_power();
    rig_.log.reset();
    if (make_.below(4) == 0)
      rig_.machine.files->lose_unsynced(UINT32_MAX);  // a kill: what was written is there
    else
      rig_.machine.files->lose_power(make_.random());
  }

  // Opens the store, perhaps after failing in the middle of that, and compares.
  void begin() {
    for (int attempt = 0; attempt < 2 && make_.below(3) == 0; ++attempt) {
      count_down(1 + make_.below(60));
      if (auto opened = rig_.try_open()) rig_.log = std::move(*opened);
      end();
    }
    rig_.open();
    if (::testing::Test::HasFailure()) return;
    now_ms_ += static_cast<std::int64_t>(make_.below(100));
    for (Channel& channel : channels_) find(channel);
    std::map<std::string, std::int64_t> found;
    for (const Revocation& each : rig_.log->revocations()) found[each.user_id] = each.before_ms;
    for (const auto& [user, before_ms] : revoked_) {
      EXPECT_GE(found[user], before_ms.acknowledged);
      EXPECT_LE(found[user], before_ms.sent);
      revoked_[user].acknowledged = found[user];
    }
  }

  void find(Channel& channel) {
    Model& newest = channel.next();
    newest.open_as.reset();
    const Open open = make_.open(newest, channel.name, &channel - channels_.data() >= 2, now_ms_);
    const std::uint16_t shard = shard_of(channel);
    std::vector<Outcome> outcomes = rig_.run({open}, now_ms_, shard);
    const Opened opened = std::move(as<Opened>(outcomes[0]));
    channel.states.pop_back();
    std::string why;
    for (Model& state : channel.states) {
      Model then = state;
      then.apply(open, now_ms_);
      why += "\n  " + then.unlike(opened, now_ms_);
      if (!then.unlike(opened, now_ms_).empty()) continue;
      channel.states.assign(1, std::move(then));
      why.clear();
      break;
    }
    ASSERT_EQ(why, "") << channel.name;
    outcomes = rig_.run({Read{.channel = open.channel,
                              .number = 1,
                              .after = 0,
                              .messages_max = 1'000'000,
                              .bytes_max = 1u << 30}},
                        now_ms_, shard);
    const auto& entries = as<ReadDone>(outcomes[0]).entries;
    EXPECT_EQ(entries.size(), opened.last_seq + 1 - opened.first_seq);
    channel.latest().expect_has(entries, opened.first_seq);
  }

  // Whether the power went.
  bool round() {
    now_ms_ += static_cast<std::int64_t>(make_.below(30));
    std::vector<Operation> operations[kTestShards];
    std::map<std::uint64_t, Channel*> by_handle[kTestShards];
    for (std::uint64_t count = make_.below(20) + 1; count > 0; --count) {
      Channel& channel = channels_[make_.below(channels_.size())];
      const std::uint16_t shard = shard_of(channel);
      add(channel, operations[shard]);
      if (channel.latest().open_as) by_handle[shard][channel.latest().open_as->bits()] = &channel;
    }
    std::optional<std::future<bool>> saved;
    if (make_.below(8) == 0) saved = revoke();
    std::size_t answers[kTestShards];
    for (std::uint16_t shard = 0; shard < kTestShards; ++shard) {
      answers[shard] = answers_to(operations[shard]);
      rig_.log->submit(shard, std::move(operations[shard]), now_ms_);
    }
    bool failed = saved && !saved->get();
    for (std::uint16_t shard = 0; shard < kTestShards; ++shard) {
      if (answers[shard] == 0) continue;
      for (const Outcome& outcome : rig_.outcomes[shard].take(answers[shard])) {
        failed |= std::holds_alternative<Failed>(outcome);
        const auto* committed = std::get_if<Committed>(&outcome);
        if (committed) by_handle[shard].at(committed->channel.bits())->acknowledged(committed->last_seq);
      }
    }
    if (make_.below(6) == 0) sweep();
    return failed;
  }

  void sweep() {
    for (Channel& channel : channels_)
      for (Model& state : channel.states) state.settle(now_ms_);
    rig_.log->sweep(now_ms_);
    rig_.read(handle(UINT32_MAX), 0);  // it is through
  }

  void add(Channel& channel, std::vector<Operation>& operations) {
    if (!channel.latest().open_as) {
      operations.push_back(
          make_.open(channel.next(), channel.name, &channel - channels_.data() >= 2, now_ms_));
      return;
    }
    switch (make_.below(12)) {
      case 0:
        // Not before its first entry: the sweep would forget it.
        if (channel.latest().last() == 0) return;
        operations.push_back(Close{.channel = *channel.next().open_as});
        channel.latest().open_as.reset();
        return;
      case 1:
      case 2:
        operations.push_back(make_.snapshot(channel.next()));
        return;
      case 3:
        operations.push_back(make_.mark(channel.next()));
        return;
      default:
        operations.push_back(make_.append(channel.next(), 30, now_ms_));
    }
  }

  std::future<bool> revoke() {
    const std::string user = "u" + std::to_string(make_.below(5));
    auto saved = std::make_shared<std::promise<bool>>();
    auto& before_ms = revoked_[user];
    before_ms.sent = std::max(before_ms.sent, now_ms_);
    rig_.log->save_revocation({.tenant = "t", .user_id = user, .before_ms = now_ms_},
                              [saved, &before_ms, now_ms = now_ms_](const Result<void>& result) {
                                if (result) before_ms.acknowledged = std::max(before_ms.acknowledged, now_ms);
                                saved->set_value(result.has_value());
                              });
    return saved->get_future();
  }

  struct Before {
    std::int64_t acknowledged = 0, sent = 0;
  };
  StoreRig rig_;
  RandomOperations make_;
  std::vector<Channel> channels_;
  std::map<std::string, Before> revoked_;
  std::int64_t now_ms_ = 1000;
};

std::uint32_t setting(const char* name, std::uint32_t otherwise) {
  const char* value = getenv(name);
  return value ? static_cast<std::uint32_t>(std::stoul(value)) : otherwise;
}

}  // namespace

TEST(PowerLoss, LosesNothingThatWasAcknowledgedAndInventsNothing) {
  const std::uint32_t first = setting("TIDEWIRE_POWER_LOSS_SEED", 1);
  const std::uint32_t runs = setting("TIDEWIRE_POWER_LOSS_RUNS", 24);
  for (std::uint32_t seed = first; seed < first + runs && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    PowerLossRun(seed).run(1 + static_cast<int>(seed % 3));
  }
}

}  // namespace tidewire::log
