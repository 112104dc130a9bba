// The fixture of the suite that every engine of log.h passes: one shard-driven log, and how its tests build
// operations and look at outcomes. TEST_P(LogConformance, ...) in any file of this folder joins the suite.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "log/log_under_test.h"

namespace tidewire::log {

inline Open open(Handle channel, std::string name, std::string epoch = "e1",
                 Retention retention = {.messages = 1000}) {
  return {.channel = channel,
          .name = std::move(name),
          .epoch = std::move(epoch),
          .retention = retention,
          .tail_messages = 100,
          .tail_bytes = 1u << 20};
}

inline Append append(Handle channel, std::vector<Entry> entries, std::vector<KeyUse> keys = {},
                     std::uint64_t number = 0) {
  return {.channel = channel, .number = number, .entries = std::move(entries), .keys = std::move(keys)};
}

inline Read read(Handle channel, std::uint64_t after, std::size_t messages_max = 1000,
                 std::size_t bytes_max = 1u << 20) {
  return {
      .channel = channel, .number = 7, .after = after, .messages_max = messages_max, .bytes_max = bytes_max};
}

inline std::vector<std::uint64_t> seqs(const std::vector<Entry>& entries) {
  std::vector<std::uint64_t> all;
  for (const Entry& each : entries) all.push_back(each.seq);
  return all;
}

inline std::vector<std::string> names(const std::vector<KeyUse>& keys) {
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

}  // namespace tidewire::log
