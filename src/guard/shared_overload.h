// What all shards know of the server's load: each says how long its turns take, one of them judges
// (guard/overload.h), and all act by the same step.
//
// A shard that is stuck in a turn says nothing; the others see for how long. Any thread may call.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "guard/overload.h"

namespace tidewire::guard {

class SharedOverload {
 public:
  static constexpr std::int64_t kSample_ms = 100;
  // As many as `server.shards` allows.
  static constexpr std::size_t kMostShards = 1024;

  // Each shard about every kSample_ms: since the last time, its longest turn and how long its loop waited
  // for something to do. Of a loop that found a tenth of the time to wait no long turn begins an overload:
  // nothing waits for it, the machine is busy with others, and refusing users would help nobody. `shard` is
  // below kMostShards.
  void report(std::size_t shard, std::int64_t longest_turn_us, std::int64_t waited_us, std::int64_t now_ms);

  // Judges, unless somebody has within kSample_ms, or a shard that is not stuck has yet to report: one long
  // turn is not judged twice. Any shard, after its report. `memory` is asked only where it is looked at.
  std::optional<Overload::Change> judge(const OverloadLimits& limits,
                                        const std::function<std::int64_t()>& memory, std::int64_t now_ms);

  Shedding step() const { return static_cast<Shedding>(step_.load(std::memory_order_relaxed)); }
  double publish_share() const { return share_.load(std::memory_order_relaxed); }
  double pressure() const { return pressure_.load(std::memory_order_relaxed); }

  bool refuses_connections() const { return step() >= Shedding::no_new_connections; }
  // What was given up so far.
  void note_refused_connection() { refused_connections_.fetch_add(1, std::memory_order_relaxed); }
  void note_shed_publish() { shed_publishes_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t refused_connections() const { return refused_connections_.load(std::memory_order_relaxed); }
  std::uint64_t shed_publishes() const { return shed_publishes_.load(std::memory_order_relaxed); }
  // Tell a client that is refused to come back after this.
  static constexpr std::int64_t kRetryAfter_ms = 2'000;

 private:
  static constexpr std::int64_t kWaitsOf = 10;  // a tenth

  struct Report {
    std::atomic<std::int64_t> longest_turn_us{0};
    std::atomic<bool> keeps_up{false};
    std::atomic<std::int64_t> at_ms{-1};  // -1: none yet
  };
  std::unique_ptr<Report[]> reports_ = std::make_unique<Report[]>(kMostShards);
  std::mutex mutex_;
  Overload overload_;            // under mutex_
  std::int64_t judged_ms_ = -1;  // likewise
  std::atomic<int> step_{0};
  std::atomic<double> share_{1};
  std::atomic<double> pressure_{0};
  std::atomic<std::uint64_t> refused_connections_{0};
  std::atomic<std::uint64_t> shed_publishes_{0};
};

// Lets a share of what comes pass, evenly. Owned by one thread.
class ShareGate {
 public:
  bool pass(double share) {
    if (share >= 1) return true;
    credit_ += share;
    if (credit_ < 1) return false;
    credit_ -= 1;
    return true;
  }

 private:
  double credit_ = 0;
};

}  // namespace tidewire::guard
