// A sink that a test waits on. Any thread.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "log/log.h"

namespace tidewire::log {

class Outcomes {
 public:
  void add(std::vector<Outcome>&& outcomes) {
    const std::lock_guard lock(mutex_);
    for (Outcome& outcome : outcomes) all_.push_back(std::move(outcome));
    ++calls_;
    changed_.notify_all();
  }
  // Waits for so many and takes them all.
  std::vector<Outcome> take(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return all_.size() >= count; });
    return std::exchange(all_, {});
  }
  std::size_t calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Outcome> all_;
  std::size_t calls_ = 0;
};

}  // namespace tidewire::log
