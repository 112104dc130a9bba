// What `limits.dry_run` would have refused: how many requests, and whose was the first, for the log and
// the metrics. Any thread may note; whoever takes has the log line to write.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace tidewire::guard {

class DryRun {
 public:
  struct Report {
    std::uint64_t requests = 0;  // since the last report
    std::string tenant, user;    // of the first of them; no user: anonymous
  };

  void note(std::string_view tenant, std::string_view user) {
    const std::uint64_t before = total_.fetch_add(1, std::memory_order_relaxed);
    if (before != reported_.load(std::memory_order_relaxed)) return;
    const std::lock_guard lock(mutex_);
    tenant_ = tenant;
    user_ = user;
  }

  // What came since the last call; 0 requests: nothing.
  Report take() {
    const std::uint64_t now = total_.load(std::memory_order_relaxed);
    const std::uint64_t before = reported_.load(std::memory_order_relaxed);
    if (now == before) return {};
    const std::lock_guard lock(mutex_);
    reported_.store(now, std::memory_order_relaxed);
    return {.requests = now - before, .tenant = tenant_, .user = user_};
  }

  std::uint64_t total() const { return total_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> total_{0};
  std::atomic<std::uint64_t> reported_{0};
  std::mutex mutex_;
  std::string tenant_, user_;  // under mutex_
};

}  // namespace tidewire::guard
