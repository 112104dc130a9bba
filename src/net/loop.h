// The event loop: one per thread, level-triggered epoll. A turn is a batch: wait, read the time once,
// tell the watchers of what is ready, take what other threads left, fire timers, run what was
// deferred until nothing is left, then the turn-end hooks (where outboxes are flushed).
//
// Invariant: a watcher that was removed is never called again, even for an event of the same turn.
// Everything is for the loop's own thread but post(), stop() and waker().
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/time.h"
#include "base/timer_wheel.h"
#include "net/mailbox.h"
#include "net/waker.h"

namespace tidewire::net {

// What is told of events on one file descriptor. One watcher for one descriptor at a time.
class Watcher {
 public:
  // EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP as epoll reports them. May remove or destroy
  // any watcher, its own included.
  virtual void on_events(std::uint32_t epoll_events) = 0;

 protected:
  ~Watcher() = default;
};

// A timer of a loop: 32 bytes, to derive an owner or one of its parts from.
class LoopTimer : public TimerEntry {
 public:
  // May schedule any timer again, or destroy it, its own included.
  virtual void on_timer() = 0;

 protected:
  ~LoopTimer() = default;
};
static_assert(sizeof(LoopTimer) <= 32);

// A timer that calls a function, for the places where there are few.
class FunctionTimer final : public LoopTimer {
 public:
  explicit FunctionTimer(std::function<void()> action) : action_(std::move(action)) {}
  void on_timer() override { action_(); }

 private:
  std::function<void()> action_;
};

class Loop {
 public:
  static constexpr int kEventsPerTurn = 1024;
  static constexpr std::int64_t kTimerResolution_ms = 8;

  // Throws std::system_error when the process has no descriptors left.
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Watches fd for epoll events. False with errno set when the system refuses (ENOSPC, ENOMEM,
  // EPERM). The watcher must be removed before it is destroyed.
  [[nodiscard]] bool add(int fd, std::uint32_t events, Watcher* watcher);
  // Applies from the next turn: an event of this turn that is still to be told comes regardless.
  void modify(int fd, std::uint32_t events, Watcher* watcher);
  void remove(int fd, Watcher* watcher);
  // remove() for an fd that its owner closes in the same breath, which takes it out of epoll without
  // another system call. Only for descriptors that were never duplicated.
  void forget(Watcher* watcher);

  // Turns until stop(). A loop that was stopped does not run again.
  void run();
  // One turn, waiting for at most max_wait_ms (-1: without end, 0: not at all).
  void turn(int max_wait_ms);
  // Thread-safe. The turn under way is finished. Whoever may still post, wake or stop must be gone
  // before the loop is destroyed.
  void stop();

  // The time at which this turn began (before run(): when the loop was made).
  const Time& now() const { return now_; }
  // How long the last complete turn was at work, without its wait.
  std::int64_t last_turn_us() const { return last_turn_us_; }
  // How long it has waited between turns, all in all.
  std::int64_t waited_us() const { return waited_us_; }
  // How long this turn has been at work so far; reads the clock.
  std::int64_t elapsed_us() const;

  // Thread-safe. Runs the function on the loop's thread in one of its next turns, in order per
  // sender. However many are pending, there is one wake-up. What is pending when the loop ends is
  // destroyed unrun, on the thread that destroys the loop.
  void post(std::function<void()> function) { posted_.push(std::move(function)); }

  // Runs later in this turn (or in the next, which then does not wait), in order.
  void defer(std::function<void()> function) { deferred_.push_back(std::move(function)); }
  // Called at the end of every turn, in order of registration, for the life of the loop.
  void on_turn_end(std::function<void()> hook) { turn_end_hooks_.push_back(std::move(hook)); }
  // Called in every turn in which waker() was used since the last: the place to take from mailboxes.
  void on_wake(std::function<void()> hook) { wake_hooks_.push_back(std::move(hook)); }
  // For mailboxes whose consumer is this loop. Thread-safe; costs a system call only while the loop
  // is asleep.
  Waker& waker() { return waker_; }

  // Resolution kTimerResolution_ms, deadlines in now().mono_ms().
  TimerWheel<LoopTimer>& timers() { return timers_; }

 private:
  // An eventfd and whether its write is needed.
  class EventWaker final : public Waker {
   public:
    EventWaker();
    ~EventWaker();
    void wake() override;
    // False when there was a wake() since the last awake(): then the loop must not wait.
    bool fall_asleep();
    // True when there was a wake() since the last awake().
    bool awake();
    int fd() const { return fd_; }

   private:
    enum class State : std::uint8_t { awake, asleep, called };
    int fd_;
    std::atomic<State> state_ = State::awake;
  };

  int wait_ms(int max_wait_ms);
  void read_time();
  void run_deferred();

  EventWaker waker_;
  int epoll_;
  std::atomic<bool> stopped_ = false;
  Time now_;
  std::int64_t wall_clock_read_us_;
  std::int64_t wall_minus_mono_us_;
  std::int64_t turn_ended_us_;
  std::int64_t last_turn_us_ = 0;
  std::int64_t waited_us_ = 0;
  TimerWheel<LoopTimer> timers_;
  Mailbox<std::function<void()>> posted_;
  std::vector<std::function<void()>> posted_now_;
  std::vector<std::function<void()>> deferred_;
  std::vector<std::function<void()>> deferred_now_;
  std::vector<std::function<void()>> wake_hooks_;
  std::vector<std::function<void()>> turn_end_hooks_;
  std::unique_ptr<epoll_event[]> events_;
  std::size_t event_index_ = 0;  // of the event being told; those behind it may still be struck out
  std::size_t event_count_ = 0;
};

}  // namespace tidewire::net
