// A RocksdbLog in a directory of its own on a file system with faults, for this folder's tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "log/log_under_test.h"
#include "log/rocksdb/faulty_file_system.h"
#include "log/rocksdb/outcomes.h"
#include "log/rocksdb/rocksdb_log.h"
#include "log/rocksdb/store_files.h"

namespace tidewire::log {

inline Handle handle(std::uint32_t index) { return {.index = index, .generation = 1}; }

inline Append append_one(Handle channel, std::uint64_t seq, std::string_view body = "m") {
  return {.channel = channel, .number = seq, .entries = {entry(seq, body)}, .keys = {}};
}

class StoreRig {
 public:
  StoreRig() {
    options.path = directory_.path() + "/store";
    options.env = machine.env.get();
  }

  Result<std::unique_ptr<RocksdbLog>> try_open() {
    std::vector<RocksdbLog::Sink> sinks;
    for (Outcomes& shard : outcomes)
      sinks.push_back([&shard](std::vector<Outcome>&& more) { shard.add(std::move(more)); });
    return RocksdbLog::open(options, std::move(sinks));
  }
  void open() {
    log.reset();
    auto opened = try_open();
    ASSERT_TRUE(opened) << opened.error().message;
    log = std::move(*opened);
  }
  std::vector<Outcome> run(std::vector<Operation> operations, std::int64_t now_ms = 0,
                           std::uint16_t shard = 0) {
    const std::size_t count = answers_to(operations);
    const AnswersInOrder order(operations);
    log->submit(shard, std::move(operations), now_ms);
    return order.of(outcomes[shard].take(count));
  }
  Outcome run_one(Operation operation, std::int64_t now_ms = 0) {
    return std::move(run({std::move(operation)}, now_ms).front());
  }
  Opened open_channel(Handle channel, const std::string& name, const std::string& epoch = "e1",
                      Retention retention = {.messages = 1'000'000}, std::int64_t now_ms = 0) {
    Outcome outcome = run_one(Open{.channel = channel,
                                   .name = name,
                                   .epoch = epoch,
                                   .retention = retention,
                                   .tail_messages = 10,
                                   .tail_bytes = 1u << 20},
                              now_ms);
    if (auto* opened = std::get_if<Opened>(&outcome)) return std::move(*opened);
    ADD_FAILURE() << as<Failed>(outcome).error.message;
    return {};
  }
  Outcome append(Handle channel, std::uint64_t seq, std::string_view body = "m",
                 std::int64_t timestamp_ms = 0) {
    return run_one(
        Append{.channel = channel, .number = seq, .entries = {entry(seq, body, timestamp_ms)}, .keys = {}},
        timestamp_ms);
  }
  Outcome read(Handle channel, std::uint64_t after, std::size_t messages_max = 1'000'000) {
    return run_one(Read{.channel = channel,
                        .number = 1,
                        .after = after,
                        .messages_max = messages_max,
                        .bytes_max = 1u << 30});
  }

  FaultyMachine machine;
  RocksdbLog::Options options;
  Outcomes outcomes[kTestShards];

 private:
  TestDirectory directory_;

 public:
  std::unique_ptr<RocksdbLog> log;  // goes before what it uses
};

}  // namespace tidewire::log
