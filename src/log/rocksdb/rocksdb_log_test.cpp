// What the durable engine adds to the conformance suite: grouping, opening, bounds, shutdown.
#include "log/rocksdb/rocksdb_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "log/rocksdb/store_rig.h"

namespace tidewire::log {

namespace {

using ::testing::HasSubstr;

Open open_one(Handle channel, std::string name) {
  return {.channel = channel, .name = std::move(name), .epoch = "e", .retention = {.messages = 1'000'000}};
}

}  // namespace

TEST(RocksdbLog, CommitsAllThatWaitsInOneGroup) {
  StoreRig rig;
  std::promise<void> first_is_out, go_on;
  std::atomic<int> calls[2] = {0, 0};
  std::vector<RocksdbLog::Sink> sinks;
  sinks.push_back([&](std::vector<Outcome>&& more) {
    if (++calls[0] == 1) {
      first_is_out.set_value();
      go_on.get_future().wait();
    }
    rig.outcomes[0].add(std::move(more));
  });
  sinks.push_back([&](std::vector<Outcome>&& more) {
    ++calls[1];
    rig.outcomes[1].add(std::move(more));
  });
  auto log = RocksdbLog::open(rig.options, std::move(sinks));
  ASSERT_TRUE(log);
  (*log)->submit(0, {open_one(kOne, "t/a")}, 0);
  first_is_out.get_future().wait();
  const std::uint64_t groups = (*log)->counts().groups;
  (*log)->submit(1, {open_one(kOne, "t/b")}, 0);
  for (std::uint64_t seq = 1; seq <= 100; ++seq) {
    (*log)->submit(0, {append_one(kOne, seq)}, 0);
    (*log)->submit(1, {append_one(kOne, seq)}, 0);
  }
  go_on.set_value();
  EXPECT_EQ(rig.outcomes[0].take(101).size(), 101u);
  EXPECT_EQ(rig.outcomes[1].take(101).size(), 101u);
  EXPECT_EQ((*log)->counts().groups, groups + 1);
  EXPECT_EQ((*log)->counts().entries, 200u);
  EXPECT_EQ(calls[0], 2);
  EXPECT_EQ(calls[1], 1);
}

// The first page read waits, once it is through, until it is let go on.
class HeldReader {
 public:
  RocksdbLog::Sink sink(Outcomes& to) {
    return [this, &to](std::vector<Outcome>&& more) {
      const bool is_page = std::holds_alternative<ReadDone>(more.front());
      to.add(std::move(more));
      if (!is_page || reading_.exchange(true)) return;
      held_.set_value();
      until_.wait();
    };
  }
  void wait_until_held() { held_.get_future().wait(); }
  void go_on() { go_on_.set_value(); }

 private:
  std::atomic<bool> reading_ = false;
  std::promise<void> held_, go_on_;
  std::shared_future<void> until_ = go_on_.get_future().share();
};

Read read_all(std::uint64_t number, std::uint64_t up_to = UINT64_MAX) {
  return {.channel = kOne,
          .number = number,
          .after = 0,
          .up_to = up_to,
          .messages_max = 1000,
          .bytes_max = 1u << 20};
}

TEST(RocksdbLog, CommitsGoOnWhileAPageIsBeingRead) {
  StoreRig rig;
  HeldReader reader;
  auto log = RocksdbLog::open(rig.options, {reader.sink(rig.outcomes[0]), reader.sink(rig.outcomes[1])});
  ASSERT_TRUE(log);
  (*log)->submit(0, {open_one(kOne, "t/a"), append_one(kOne, 1)}, 0);
  (*log)->submit(1, {open_one(kTwo, "t/b")}, 0);
  rig.outcomes[0].take(2);
  rig.outcomes[1].take(1);
  // A hundred readers of one channel, and the reading stands still.
  for (std::uint64_t number = 1; number <= 100; ++number) (*log)->submit(0, {read_all(number)}, 0);
  reader.wait_until_held();
  rig.outcomes[0].take(1);
  for (std::uint64_t seq = 2; seq <= 20; ++seq) (*log)->submit(0, {append_one(kOne, seq)}, 0);
  for (std::uint64_t seq = 1; seq <= 20; ++seq) (*log)->submit(1, {append_one(kTwo, seq)}, 0);
  std::vector<Outcome> commits = rig.outcomes[0].take(19);
  ASSERT_EQ(commits.size(), 19u);
  EXPECT_EQ(as<Committed>(commits.back()).last_seq, 20u);
  EXPECT_EQ(rig.outcomes[1].take(20).size(), 20u);
  reader.go_on();
  EXPECT_EQ(rig.outcomes[0].take(99).size(), 99u);
}

TEST(RocksdbLog, AReadOfWhatIsCommittedWaitsForNoCommit) {
  StoreRig rig;
  rig.open();
  rig.open_channel(kOne, "t/a");
  rig.append(kOne, 1);
  std::promise<void> begun, go_on;
  const auto until = go_on.get_future().share();
  std::atomic<bool> slow = true;
  rig.machine.files->set_judge([&](FaultyFileSystem::Change change, const std::string& path) {
    if (change == FaultyFileSystem::Change::sync && path.ends_with(".log") && slow.exchange(false)) {
      begun.set_value();
      until.wait();
    }
    return rocksdb::IOStatus::OK();
  });
  rig.log->submit(0, {append_one(kOne, 2), read_all(7, 1), read_all(8)}, 0);
  begun.get_future().wait();
  std::vector<Outcome> outcomes = rig.outcomes[0].take(1);
  EXPECT_EQ(as<ReadDone>(outcomes[0]).number, 7u);
  EXPECT_EQ(as<ReadDone>(outcomes[0]).entries.size(), 1u);
  go_on.set_value();
  outcomes = rig.outcomes[0].take(2);
  EXPECT_EQ(as<Committed>(outcomes[0]).last_seq, 2u);
  EXPECT_EQ(as<ReadDone>(outcomes[1]).entries.size(), 2u);
}

TEST(RocksdbLog, APageIsReadAsItWasWhenItWasAskedForWhateverHappensToItsChannel) {
  StoreRig rig;
  HeldReader reader;
  auto log = RocksdbLog::open(rig.options, {reader.sink(rig.outcomes[0])});
  ASSERT_TRUE(log);
  Open open = open_one(kOne, "t/a");
  open.retention.messages = 100;
  (*log)->submit(0, {open}, 0);
  std::vector<Operation> appends;
  for (std::uint64_t seq = 1; seq <= 100; ++seq) appends.push_back(append_one(kOne, seq));
  (*log)->submit(0, std::move(appends), 0);
  rig.outcomes[0].take(101);
  (*log)->submit(0, {read_all(1)}, 0);
  reader.wait_until_held();
  rig.outcomes[0].take(1);
  (*log)->submit(0, {read_all(2)}, 0);
  appends.clear();
  for (std::uint64_t seq = 101; seq <= 300; ++seq) appends.push_back(append_one(kOne, seq));
  (*log)->submit(0, std::move(appends), 0);
  (*log)->submit(0, {Close{.channel = kOne}, open}, 0);
  rig.outcomes[0].take(201);
  reader.go_on();
  std::vector<Outcome> outcomes = rig.outcomes[0].take(1);
  const auto& done = as<ReadDone>(outcomes[0]);
  EXPECT_EQ(done.number, 2u);
  ASSERT_EQ(done.entries.size(), 100u);
  EXPECT_EQ(done.entries.front().seq, 1u);
  EXPECT_EQ((*log)->health().damaged_channels, 0u);
}

TEST(RocksdbLog, ReadsThePagesThatWaitBeforeItCloses) {
  StoreRig rig;
  rig.open();
  rig.open_channel(kOne, "t/a");
  rig.append(kOne, 1);
  for (std::uint64_t number = 1; number <= 100; ++number) rig.log->submit(0, {read_all(number)}, 0);
  rig.log.reset();
  EXPECT_EQ(rig.outcomes[0].take(100).size(), 100u);
}

TEST(RocksdbLog, CarriesOutWhatWaitsBeforeItCloses) {
  StoreRig rig;
  rig.open();
  rig.open_channel(kOne, "t/a");
  for (std::uint64_t seq = 1; seq <= 100; ++seq) rig.log->submit(0, {append_one(kOne, seq)}, 0);
  rig.log.reset();
  EXPECT_EQ(rig.outcomes[0].take(100).size(), 100u);
  rig.open();
  EXPECT_EQ(rig.open_channel(kOne, "t/a").last_seq, 100u);
}

TEST(RocksdbLog, RefusesAppendsInTheirTurnWhenTooMuchWaits) {
  StoreRig rig;
  rig.options.waiting_bytes_max = 10'000;
  rig.open();
  rig.open_channel(kOne, "t/a");
  std::vector<Operation> operations;
  for (std::uint64_t seq = 1; seq <= 20; ++seq)
    operations.push_back(append_one(kOne, seq, std::string(1000, 'x')));
  const std::vector<Outcome> outcomes = rig.run(std::move(operations));
  std::size_t committed = 0;
  while (std::holds_alternative<Committed>(outcomes[committed])) ++committed;
  EXPECT_GT(committed, 5u);
  EXPECT_LT(committed, 11u);
  for (std::size_t i = committed; i < outcomes.size(); ++i) {
    ASSERT_TRUE(std::holds_alternative<Failed>(outcomes[i]));
    EXPECT_EQ(std::get<Failed>(outcomes[i]).number, i + 1);
  }
  Outcome outcome = rig.append(kOne, committed + 1);
  EXPECT_EQ(as<Committed>(outcome).last_seq, committed + 1);
}

TEST(RocksdbLog, OperationsOnAChannelThatIsNotOpenFail) {
  StoreRig rig;
  rig.open();
  Outcome outcome = rig.append(kOne, 1);
  EXPECT_EQ(as<Failed>(outcome).what, Failed::What::append);
  outcome = rig.read(kOne, 0);
  EXPECT_EQ(as<Failed>(outcome).what, Failed::What::read);
}

TEST(RocksdbLog, ShardsSubmitFromTheirOwnThreads) {
  StoreRig rig;
  rig.open();
  constexpr std::uint32_t kChannels = 8;
  constexpr std::uint64_t kEntries = 200;
  std::vector<std::thread> shards;
  for (std::uint16_t shard = 0; shard < kTestShards; ++shard) {
    shards.emplace_back([&rig, shard] {
      std::vector<Operation> operations;
      for (std::uint32_t i = 0; i < kChannels; ++i)
        operations.push_back(open_one(handle(i), std::to_string(shard) + "/" + std::to_string(i)));
      for (std::uint64_t seq = 1; seq <= kEntries; ++seq) {
        for (std::uint32_t i = 0; i < kChannels; ++i)
          operations.push_back(append_one(handle(i), seq, std::to_string(shard * 1000 + i)));
        rig.log->submit(shard, std::exchange(operations, {}), 0);
        rig.log->sweep(0);
        (void)rig.log->health();
        (void)rig.log->counts();
      }
    });
  }
  std::thread other([&rig] {
    for (int i = 0; i < 50; ++i) {
      rig.log->save_revocation({"t", "u" + std::to_string(i), i},
                               [](const Result<void>& saved) { EXPECT_TRUE(saved); });
      (void)rig.log->revocations();
    }
  });
  for (std::thread& thread : shards) thread.join();
  other.join();
  for (std::uint16_t shard = 0; shard < kTestShards; ++shard) {
    std::vector<std::uint64_t> last(kChannels);
    for (Outcome& outcome : rig.outcomes[shard].take(kChannels * (kEntries + 1))) {
      const auto* committed = std::get_if<Committed>(&outcome);
      if (!committed) continue;
      EXPECT_EQ(committed->last_seq, ++last[committed->channel.index]);
    }
    EXPECT_THAT(last, ::testing::Each(kEntries));
    for (std::uint32_t i = 0; i < kChannels; ++i) {
      std::vector<Outcome> outcomes = rig.run(
          {Read{.channel = handle(i), .number = 1, .after = 0, .messages_max = 1000, .bytes_max = 1u << 20}},
          0, shard);
      const auto& done = as<ReadDone>(outcomes[0]);
      ASSERT_EQ(done.entries.size(), kEntries);
      for (const Entry& each : done.entries) EXPECT_EQ(each.body.view(), std::to_string(shard * 1000 + i));
    }
  }
}

}  // namespace tidewire::log
