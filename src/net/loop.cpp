#include "net/loop.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace tidewire::net {

namespace {
// The wall clock is read only this often; in between it is counted on from the monotonic one, which
// saves a clock reading in most turns.
constexpr std::int64_t kWallClockAge_us = 10'000;

std::int64_t monotonic_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}

int checked(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return fd;
}
}  // namespace

Loop::EventWaker::EventWaker() : fd_(checked(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd")) {}

Loop::EventWaker::~EventWaker() { ::close(fd_); }

void Loop::EventWaker::wake() {
  if (state_.exchange(State::called, std::memory_order_acq_rel) != State::asleep) return;
  // The eventfd is watched edge-triggered and never read: a write is an edge, whatever the count.
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof one);
}

bool Loop::EventWaker::fall_asleep() {
  State expected = State::awake;
  return state_.compare_exchange_strong(expected, State::asleep, std::memory_order_acq_rel);
}

bool Loop::EventWaker::awake() {
  if (state_.load(std::memory_order_relaxed) == State::awake) return false;
  return state_.exchange(State::awake, std::memory_order_acq_rel) == State::called;
}

Loop::Loop()
    : epoll_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      now_(read_clocks()),
      wall_clock_read_us_(now_.mono_us),
      wall_minus_mono_us_(now_.unix_ms * 1000 - now_.mono_us),
      turn_ended_us_(now_.mono_us),
      timers_(kTimerResolution_ms, now_.mono_ms()),
      posted_(waker_),
      events_(std::make_unique<epoll_event[]>(kEventsPerTurn)) {
  // Events without a watcher are passed over: the waker's only purpose is to end the wait.
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, waker_.fd(), &event) != 0) {
    const int error = errno;
    ::close(epoll_);
    throw std::system_error(error, std::generic_category(), "epoll_ctl");
  }
}

Loop::~Loop() { ::close(epoll_); }

bool Loop::add(int fd, std::uint32_t events, Watcher* watcher) {
  epoll_event event{.events = events, .data = {.ptr = watcher}};
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Loop::modify(int fd, std::uint32_t events, Watcher* watcher) {
  epoll_event event{.events = events, .data = {.ptr = watcher}};
  TIDEWIRE_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0);
}

void Loop::remove(int fd, Watcher* watcher) {
  TIDEWIRE_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr) == 0);
  forget(watcher);
}

void Loop::forget(Watcher* watcher) {
  for (std::size_t i = event_index_; i < event_count_; ++i)
    if (events_[i].data.ptr == watcher) events_[i].data.ptr = nullptr;
}

void Loop::run() {
  while (!stopped_.load(std::memory_order_acquire)) turn(-1);
}

void Loop::stop() {
  stopped_.store(true, std::memory_order_release);
  waker_.wake();
}

void Loop::turn(int max_wait_ms) {
  int timeout_ms = wait_ms(max_wait_ms);
  if (timeout_ms != 0 && !waker_.fall_asleep()) timeout_ms = 0;
  event_count_ =
      static_cast<std::size_t>(std::max(0, ::epoll_wait(epoll_, events_.get(), kEventsPerTurn, timeout_ms)));
  const bool called = waker_.awake();
  read_time();
  waited_us_ += now_.mono_us - turn_ended_us_;

  for (event_index_ = 0; event_index_ < event_count_;) {
    const epoll_event& event = events_[event_index_++];
    // Connections lie far apart in memory: the next one is fetched while this one is served.
    if (event_index_ < event_count_) __builtin_prefetch(events_[event_index_].data.ptr);
    if (event.data.ptr != nullptr) static_cast<Watcher*>(event.data.ptr)->on_events(event.events);
  }
  event_index_ = event_count_ = 0;

  if (called) {
    posted_.take(posted_now_);
    for (auto& function : posted_now_) function();
    posted_now_.clear();
    for (auto& hook : wake_hooks_) hook();
  }
  timers_.advance(now_.mono_ms(), [](LoopTimer& timer) { timer.on_timer(); });
  run_deferred();
  for (auto& hook : turn_end_hooks_) hook();

  turn_ended_us_ = monotonic_us();
  last_turn_us_ = turn_ended_us_ - now_.mono_us;
}

std::int64_t Loop::elapsed_us() const { return monotonic_us() - now_.mono_us; }

int Loop::wait_ms(int max_wait_ms) {
  if (max_wait_ms == 0 || !deferred_.empty()) return 0;
  const std::optional<std::int64_t> deadline_ms = timers_.next_deadline_ms();
  if (!deadline_ms) return max_wait_ms;
  // Rounded up, or the loop would turn idly through the last millisecond.
  const std::int64_t until_us = *deadline_ms * 1000 - turn_ended_us_;
  const std::int64_t until_ms = std::clamp<std::int64_t>((until_us + 999) / 1000, 0, 1000 * 1000);
  return max_wait_ms < 0 ? static_cast<int>(until_ms)
                         : static_cast<int>(std::min<std::int64_t>(until_ms, max_wait_ms));
}

void Loop::read_time() {
  now_.mono_us = monotonic_us();
  if (now_.mono_us - wall_clock_read_us_ >= kWallClockAge_us) {
    const Time clocks = read_clocks();
    wall_clock_read_us_ = clocks.mono_us;
    wall_minus_mono_us_ = clocks.unix_ms * 1000 - clocks.mono_us;
  }
  now_.unix_ms = (now_.mono_us + wall_minus_mono_us_) / 1000;
}

void Loop::run_deferred() {
  while (!deferred_.empty()) {
    deferred_now_.swap(deferred_);
    for (auto& function : deferred_now_) function();
    deferred_now_.clear();
  }
}

}  // namespace tidewire::net
