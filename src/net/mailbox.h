// A mailbox between threads: many producers, one consumer, whole batches.
//
// Invariant: what one producer pushes is taken in the order it pushed. The lock is held for an append
// or a swap of vectors, never while a message is made or read. The consumer is woken only when the box
// was empty, so a burst costs one wake-up.
#pragma once

#include <cstddef>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

#include "net/waker.h"

namespace tidewire::net {

template <class T>
class Mailbox {
 public:
  // The waker must outlive the mailbox.
  explicit Mailbox(Waker& consumer) : consumer_(consumer) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Any thread.
  void push(T message) {
    bool was_empty;
    {
      const std::lock_guard lock(mutex_);
      was_empty = messages_.empty();
      messages_.push_back(std::move(message));
    }
    if (was_empty) consumer_.wake();
  }

  // Any thread. Leaves the batch empty; it keeps or gains capacity, for the producer's next turn.
  void push(std::vector<T>& batch) {
    if (batch.empty()) return;
    bool was_empty;
    {
      const std::lock_guard lock(mutex_);
      was_empty = messages_.empty();
      if (was_empty)
        messages_.swap(batch);
      else
        messages_.insert(messages_.end(), std::make_move_iterator(batch.begin()),
                         std::make_move_iterator(batch.end()));
    }
    batch.clear();
    if (was_empty) consumer_.wake();
  }

  // The consumer's thread, once a turn. Replaces the contents of `batch`, whose capacity goes back
  // into the box.
  void take(std::vector<T>& batch) {
    batch.clear();
    const std::lock_guard lock(mutex_);
    messages_.swap(batch);
  }

 private:
  Waker& consumer_;
  std::mutex mutex_;
  std::vector<T> messages_;
};

}  // namespace tidewire::net
