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
