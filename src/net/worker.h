// A thread for work that blocks (files, password hashes, look-ups), with a bounded queue in front.
//
// Invariant: tasks run one at a time, in the order of submission; every accepted task is run, also
// when the worker is destroyed (which waits for them). At the bound the submitter is told no.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "net/loop.h"

namespace tidewire::net {

class Worker {
 public:
  // The name (at most 15 bytes are used) is what the system shows for the thread.
  Worker(const std::string& name, std::size_t capacity);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Any thread. False: the queue is full and the task is dropped. Tasks must not throw.
  [[nodiscard]] bool submit(std::function<void()> task);

  // Runs work() on the worker and done(its result) on the loop, which must outlive the worker.
  template <class Work, class Done>
  [[nodiscard]] bool submit(Work work, Loop& loop, Done done) {
    return submit([work = std::move(work), &loop, done = std::move(done)]() mutable {
      auto result = std::make_shared<decltype(work())>(work());
      loop.post([result = std::move(result), done = std::move(done)]() mutable { done(std::move(*result)); });
    });
  }

  std::size_t queued() const;

 private:
  void run();

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tidewire::net
