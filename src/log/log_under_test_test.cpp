// The engines as the conformance suite sees them.
#include "log/log_under_test.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

#include "log/memory/memory_log.h"
#include "log/rocksdb/outcomes.h"
#include "log/rocksdb/rocksdb_log.h"

#ifdef __SANITIZE_THREAD__
// RocksDB comes without instrumentation, so its own synchronisation is not seen: what it reads with memcmp
// and frees on another thread looks like a race.
extern "C" const char* __tsan_default_suppressions() { return "race:librocksdb.so\n"; }
#endif

namespace tidewire::log {

namespace {

class MemoryUnderTest final : public LogUnderTest {
 public:
  MemoryUnderTest() {
    for (int shard = 0; shard < kTestShards; ++shard)
      logs_.push_back(std::make_unique<MemoryLog>(
          [this](Outcome&& outcome) { outcomes_.push_back(std::move(outcome)); }));
  }
  Log& log(std::uint16_t shard) override { return *logs_[shard]; }
  std::vector<Outcome> run(std::vector<Operation> operations, std::int64_t now_ms,
                           std::uint16_t shard) override {
    logs_[shard]->submit(shard, std::move(operations), now_ms);
    return std::exchange(outcomes_, {});
  }
  bool reopen() override { return false; }
  void sweep(std::int64_t) override {}

 private:
  std::vector<Outcome> outcomes_;
  std::vector<std::unique_ptr<MemoryLog>> logs_;
};

class RocksdbUnderTest final : public LogUnderTest {
 public:
  RocksdbUnderTest() { reopen(); }
  Log& log(std::uint16_t) override { return *log_; }
  std::vector<Outcome> run(std::vector<Operation> operations, std::int64_t now_ms,
                           std::uint16_t shard) override {
    const std::size_t count = answers_to(operations);
    const AnswersInOrder order(operations);
    log_->submit(shard, std::move(operations), now_ms);
    return order.of(outcomes_[shard].take(count));
  }
  bool reopen() override {
    log_.reset();
    std::vector<RocksdbLog::Sink> sinks;
    for (Outcomes& outcomes : outcomes_)
      sinks.push_back([&outcomes](std::vector<Outcome>&& more) { outcomes.add(std::move(more)); });
    auto opened = RocksdbLog::open({.path = directory_.path() + "/store"}, std::move(sinks));
    EXPECT_TRUE(opened) << opened.error().message;
    log_ = std::move(*opened);
    return true;
  }
  void sweep(std::int64_t now_ms) override {
    log_->sweep(now_ms);
    run({Read{.channel = {.index = UINT32_MAX, .generation = UINT32_MAX}}}, now_ms,
        0);  // its group, or after
  }

 private:
  TestDirectory directory_;
  Outcomes outcomes_[kTestShards];
  std::unique_ptr<RocksdbLog> log_;
};

}  // namespace

std::unique_ptr<LogUnderTest> memory_under_test() { return std::make_unique<MemoryUnderTest>(); }
std::unique_ptr<LogUnderTest> rocksdb_under_test() { return std::make_unique<RocksdbUnderTest>(); }

TestDirectory::TestDirectory() {
  // In memory where there is room: what is tested is not the disk, and a disk makes it twenty times slower.
  std::error_code none;
  const std::filesystem::path memory = "/dev/shm";
  const bool room = !getenv("TMPDIR") && std::filesystem::space(memory, none).available > (1u << 30) &&
                    !none && access(memory.c_str(), W_OK) == 0;
  std::string pattern = (room ? memory : std::filesystem::temp_directory_path()) / "tidewire-log-XXXXXX";
  path_ = mkdtemp(pattern.data());
}

TestDirectory::~TestDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::size_t answers_to(const std::vector<Operation>& operations) {
  std::size_t count = 0;
  for (const Operation& operation : operations)
    count += std::holds_alternative<Open>(operation) || std::holds_alternative<Append>(operation) ||
             std::holds_alternative<Read>(operation) || std::holds_alternative<List>(operation);
  return count;
}

AnswersInOrder::AnswersInOrder(const std::vector<Operation>& operations) {
  for (const Operation& operation : operations) {
    if (answers_to({operation}) == 0) continue;
    const auto* read = std::get_if<Read>(&operation);
    reads_.push_back(read != nullptr                           ? std::optional(read->channel)
                     : std::holds_alternative<List>(operation) ? std::optional(Handle{})
                                                               : std::nullopt);
  }
}

std::vector<Outcome> AnswersInOrder::of(std::vector<Outcome>&& outcomes) const {
  const auto read_of = [](const Outcome& outcome) -> std::optional<Handle> {
    if (const auto* done = std::get_if<ReadDone>(&outcome)) return done->channel;
    if (std::holds_alternative<Listed>(outcome)) return Handle{};
    const auto* failed = std::get_if<Failed>(&outcome);
    const bool is_read =
        failed != nullptr && (failed->what == Failed::What::read || failed->what == Failed::What::list);
    return is_read ? std::optional(failed->channel) : std::nullopt;
  };
  std::vector<Outcome> all;
  for (const std::optional<Handle>& read : reads_) {
    const auto next = std::ranges::find(outcomes, read, read_of);
    if (next == outcomes.end()) break;
    all.push_back(std::move(*next));
    outcomes.erase(next);
  }
  std::ranges::move(outcomes, std::back_inserter(all));
  return all;
}

}  // namespace tidewire::log
