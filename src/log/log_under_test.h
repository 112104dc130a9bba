// One log engine under test, driven from one thread: operations go in, their outcomes come back.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/log.h"

namespace rocksdb {
class Env;
}

namespace tidewire::log {

inline constexpr std::uint16_t kTestShards = 2;
inline constexpr Handle kOne{.index = 1, .generation = 1};
inline constexpr Handle kTwo{.index = 2, .generation = 1};

class LogUnderTest {
 public:
  virtual ~LogUnderTest() = default;
  virtual Log& log(std::uint16_t shard = 0) = 0;
  // Submits and waits until everything that is answered has its outcome.
  virtual std::vector<Outcome> run(std::vector<Operation> operations, std::int64_t now_ms = 0,
                                   std::uint16_t shard = 0) = 0;
  // Closes the log and opens it anew; false where nothing outlives it.
  virtual bool reopen() = 0;
  // One slice of the pass over all channels; it is through when this returns.
  virtual void sweep(std::int64_t now_ms) = 0;
};

std::unique_ptr<LogUnderTest> memory_under_test();
std::unique_ptr<LogUnderTest> rocksdb_under_test();

// A directory that is removed with the object.
class TestDirectory {
 public:
  TestDirectory();
  ~TestDirectory();
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  std::string path() const { return path_; }

 private:
  std::string path_;
};

std::size_t answers_to(const std::vector<Operation>& operations);

// What was answered, put into the order of the operations: a read or a list may be answered later than what
// came behind it.
class AnswersInOrder {
 public:
  explicit AnswersInOrder(const std::vector<Operation>& operations);
  std::vector<Outcome> of(std::vector<Outcome>&& outcomes) const;

 private:
  std::vector<std::optional<Handle>> reads_;  // of which channel, the null one for a list; nothing: neither
};

template <class T>
T& as(Outcome& outcome) {
  return std::get<T>(outcome);
}

inline Entry entry(std::uint64_t seq, std::string_view body, std::int64_t timestamp_ms = 0,
                   std::int64_t expires_ms = 0) {
  return {.seq = seq, .timestamp_ms = timestamp_ms, .expires_ms = expires_ms, .body = SharedBytes(body)};
}

}  // namespace tidewire::log
