// Durable appends: how many a second and how long a commit takes, by publishers in flight; and how long
// a store with a million channels takes to open. In TMPDIR, which must be on a real disk to mean anything.
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "base/histogram.h"
#include "log/rocksdb/rocksdb_log.h"

namespace tidewire::log {

namespace {

class Directory {
 public:
  Directory() {
    std::string pattern = std::filesystem::temp_directory_path() / "tidewire-bench-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string store() const { return path_ + "/store"; }

 private:
  std::string path_;
};

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// What a shard is to the log: outcomes wait in a box until the shard's next turn.
class Box {
 public:
  void add(std::vector<Outcome>&& outcomes) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.insert(waiting_.end(), std::make_move_iterator(outcomes.begin()),
                      std::make_move_iterator(outcomes.end()));
    }
    changed_.notify_one();
  }
  std::vector<Outcome> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !waiting_.empty(); });
    return std::exchange(waiting_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Outcome> waiting_;
};

std::unique_ptr<RocksdbLog> open_log(const Directory& directory, Box& box) {
  auto opened = RocksdbLog::open({.path = directory.store()},
                                 {[&box](std::vector<Outcome>&& outcomes) { box.add(std::move(outcomes)); }});
  TIDEWIRE_CHECK(opened.has_value());
  return std::move(*opened);
}

Operation open_channel(std::uint32_t index) {
  return Open{.channel = {.index = index, .generation = 1},
              .name = "default/log:" + std::to_string(index),
              .epoch = "0123456789abcdef",
              .retention = {.messages = 100'000, .ttl_ms = 7 * 86'400'000}};
}

// Each publisher has one message under way, to a channel of its own; 256 bytes, 100,000 kept.
void commit(benchmark::State& state) {
  const auto publishers = static_cast<std::uint32_t>(state.range(0));
  const Directory directory;
  Box box;
  const auto log = open_log(directory, box);
  std::vector<Operation> operations;
  for (std::uint32_t i = 0; i < publishers; ++i) operations.push_back(open_channel(i));
  log->submit(0, std::exchange(operations, {}), 1);
  for (std::size_t opened = 0; opened < publishers;) opened += box.take().size();

  const SharedBytes body(std::string(256, 'x'));
  std::vector<std::uint64_t> seqs(publishers);
  std::vector<std::int64_t> sent_us(publishers);
  const auto publish = [&](std::uint32_t i) {
    sent_us[i] = now_us();
    operations.push_back(Append{.channel = {.index = i, .generation = 1},
                                .number = 0,
                                .entries = {{.seq = ++seqs[i], .timestamp_ms = 1, .body = body}},
                                .keys = {}});
  };
  Histogram latency_us;
  const std::uint64_t groups = log->counts().groups;
  for (std::uint32_t i = 0; i < publishers; ++i) publish(i);
  log->submit(0, std::exchange(operations, {}), 1);
  std::vector<Outcome> committed;
  std::size_t next = 0;
  for (auto _ : state) {  // an iteration is one message committed
    if (next == committed.size()) {
      log->submit(0, std::exchange(operations, {}), 1);
      committed = box.take();
      next = 0;
    }
    const std::uint32_t i = std::get<Committed>(committed[next++]).channel.index;
    latency_us.record(now_us() - sent_us[i]);
    publish(i);
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["p50_us"] = static_cast<double>(latency_us.percentile_us(50));
  state.counters["p99_us"] = static_cast<double>(latency_us.percentile_us(99));
  state.counters["per_group"] =
      static_cast<double>(state.iterations()) / static_cast<double>(log->counts().groups - groups);
}
BENCHMARK(commit)->Arg(1)->Arg(16)->Arg(256)->Arg(4096)->UseRealTime()->MeasureProcessCPUTime();

void open_million_channels(benchmark::State& state) {
  const Directory directory;
  Box box;
  constexpr std::uint32_t kChannels = 1'000'000, kSlice = 1000;
  {
    const auto log = open_log(directory, box);
    const SharedBytes body(std::string(100, 'x'));
    for (std::uint32_t first = 0; first < kChannels; first += kSlice) {
      std::vector<Operation> operations, closing;
      for (std::uint32_t i = first; i < first + kSlice; ++i) {
        operations.push_back(open_channel(i));
        operations.push_back(Append{.channel = {.index = i, .generation = 1},
                                    .number = 0,
                                    .entries = {{.seq = 1, .timestamp_ms = 1, .body = body}},
                                    .keys = {}});
        closing.push_back(Close{.channel = {.index = i, .generation = 1}});
      }
      log->submit(0, std::move(operations), 1);
      for (std::size_t answers = 0; answers < 2 * kSlice;) answers += box.take().size();
      log->submit(0, std::move(closing), 1);
    }
  }
  for (auto _ : state) {
    const std::int64_t from_us = now_us();
    const auto log = open_log(directory, box);
    log->submit(0, {open_channel(kChannels / 2)}, 1);
    box.take();
    state.SetIterationTime(static_cast<double>(now_us() - from_us) / 1e6);
  }
}
BENCHMARK(open_million_channels)->Iterations(3)->Unit(benchmark::kMillisecond)->UseManualTime();

}  // namespace

}  // namespace tidewire::log
