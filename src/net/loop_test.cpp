#include "net/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "net/thread_start.h"

namespace tidewire::net {
namespace {

using ::testing::ElementsAre;

// A socket pair whose first end is watched.
class Probe final : public Watcher {
 public:
  explicit Probe(Loop& loop, std::function<void(Probe&)> action = {})
      : loop_(loop), action_(std::move(action)) {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends_.data()), 0);
    EXPECT_TRUE(loop_.add(ends_[0], EPOLLIN, this));
  }
  ~Probe() {
    leave();
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  void poke() const { EXPECT_EQ(::write(ends_[1], "x", 1), 1); }
  void calm() const {
    char byte;
    EXPECT_EQ(::read(ends_[0], &byte, 1), 1);
  }
  void leave() {
    if (watched_) loop_.remove(ends_[0], this);
    watched_ = false;
  }
  void on_events(std::uint32_t events) override {
    EXPECT_TRUE(watched_);
    last_events_ = events;
    ++calls_;
    if (action_) action_(*this);
  }
  int fd() const { return ends_[0]; }
  int calls() const { return calls_; }
  std::uint32_t last_events() const { return last_events_; }

 private:
  Loop& loop_;
  std::function<void(Probe&)> action_;
  std::array<int, 2> ends_{};
  bool watched_ = true;
  int calls_ = 0;
  std::uint32_t last_events_ = 0;
};

TEST(Loop, TellsAWatcherAgainUntilItHasReadEverything) {
  Loop loop;
  Probe probe(loop);
  loop.turn(0);
  EXPECT_EQ(probe.calls(), 0);
  probe.poke();
  loop.turn(-1);
  loop.turn(-1);
  EXPECT_EQ(probe.calls(), 2);
  probe.calm();
  loop.turn(0);
  EXPECT_EQ(probe.calls(), 2);
}

TEST(Loop, ModifyChangesWhatIsWatched) {
  Loop loop;
  Probe probe(loop);
  probe.poke();
  loop.modify(probe.fd(), EPOLLOUT, &probe);
  loop.turn(-1);
  EXPECT_EQ(probe.last_events(), static_cast<std::uint32_t>(EPOLLOUT));
}

TEST(Loop, RefusesADescriptorThatCannotBeWatched) {
  Loop loop;
  struct Deaf final : Watcher {
    void on_events(std::uint32_t) override {}
  } deaf;
  EXPECT_FALSE(loop.add(-1, EPOLLIN, &deaf));
}

TEST(Loop, NeverCallsAWatcherThatAnotherRemovedInTheSameTurn) {
  Loop loop;
  std::vector<std::unique_ptr<Probe>> probes;
  int calls = 0;
  for (int i = 0; i < 40; ++i)
    probes.push_back(std::make_unique<Probe>(loop, [&](Probe& self) {
      ++calls;
      for (auto& probe : probes)
        if (probe.get() != &self) probe.reset();
      self.leave();
    }));
  for (auto& probe : probes) probe->poke();
  loop.turn(-1);
  EXPECT_EQ(calls, 1);
}

TEST(Loop, ANewWatcherOfAReusedDescriptorIsNotToldOfOldEvents) {
  Loop loop;
  std::unique_ptr<Probe> first, second, fresh;
  const auto replace = [&](std::unique_ptr<Probe>& other) {
    if (fresh != nullptr) return;
    const int fd = other->fd();
    other.reset();
    fresh = std::make_unique<Probe>(loop);
    EXPECT_EQ(fresh->fd(), fd);
  };
  first = std::make_unique<Probe>(loop, [&](Probe&) { replace(second); });
  second = std::make_unique<Probe>(loop, [&](Probe&) { replace(first); });
  first->poke();
  second->poke();
  loop.turn(-1);
  ASSERT_NE(fresh, nullptr);
  EXPECT_EQ(fresh->calls(), 0);
}

TEST(Loop, AForgottenWatcherIsNotCalledThoughItsDescriptorIsStillOpenThen) {
  Loop loop;
  struct Owner final : Watcher {
    Loop* loop = nullptr;
    Owner* other = nullptr;
    int fd = -1;
    int calls = 0;
    void on_events(std::uint32_t) override {
      ++calls;
      loop->forget(other);
      ::close(other->fd);
      loop->forget(this);
      ::close(fd);
    }
  };
  int near[2], far[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, near), 0);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, far), 0);
  Owner one, two;
  one.loop = two.loop = &loop;
  one.other = &two;
  two.other = &one;
  one.fd = near[0];
  two.fd = far[0];
  ASSERT_TRUE(loop.add(one.fd, EPOLLIN, &one));
  ASSERT_TRUE(loop.add(two.fd, EPOLLIN, &two));
  EXPECT_EQ(::write(near[1], "x", 1), 1);
  EXPECT_EQ(::write(far[1], "x", 1), 1);
  loop.turn(-1);
  loop.turn(0);
  EXPECT_EQ(one.calls + two.calls, 1);
  ::close(near[1]);
  ::close(far[1]);
}

TEST(Loop, RunsWhatIsDeferredUntilNothingIsLeftThenTheTurnEndHooks) {
  Loop loop;
  std::vector<std::string> order;
  loop.on_turn_end([&] { order.push_back("hook 1"); });
  loop.on_turn_end([&] { order.push_back("hook 2"); });
  Probe probe(loop, [&](Probe& self) {
    self.calm();
    loop.defer([&] {
      order.push_back("first");
      loop.defer([&] { order.push_back("nested"); });
    });
    loop.defer([&] { order.push_back("second"); });
    order.push_back("event");
  });
  probe.poke();
  loop.turn(-1);
  EXPECT_THAT(order, ElementsAre("event", "first", "second", "nested", "hook 1", "hook 2"));
}

TEST(Loop, DoesNotWaitWhenATurnEndHookHasDeferred) {
  Loop loop;
  int runs = 0;
  bool once = true;
  loop.on_turn_end([&] {
    if (std::exchange(once, false)) loop.defer([&] { ++runs; });
  });
  loop.turn(0);
  EXPECT_EQ(runs, 0);
  loop.turn(-1);
  EXPECT_EQ(runs, 1);
}

TEST(Loop, FiresTimersNotBeforeTheirTime) {
  Loop loop;
  std::vector<int> fired;
  std::int64_t start_ms = loop.now().mono_ms();
  const auto timer = [&](int after_ms) {
    auto made = std::make_unique<FunctionTimer>([&, after_ms] {
      EXPECT_GE(loop.now().mono_ms(), start_ms + after_ms);
      fired.push_back(after_ms);
      if (fired.size() == 3) loop.stop();
    });
    loop.timers().schedule(*made, start_ms + after_ms);
    return made;
  };
  const auto a = timer(60);
  const auto b = timer(5);
  const auto c = timer(30);
  loop.run();
  EXPECT_THAT(fired, ElementsAre(5, 30, 60));
}

TEST(Loop, MeasuresHowLongATurnIsAtWork) {
  Loop loop;
  Probe probe(loop, [&](Probe& self) {
    self.calm();
    const std::int64_t start_us = read_clocks().mono_us;
    while (read_clocks().mono_us < start_us + 2000) {
    }
  });
  probe.poke();
  loop.turn(-1);
  EXPECT_GE(loop.last_turn_us(), 2000);
}

TEST(Loop, ReadsTheTimeOnceATurn) {
  Loop loop;
  const Time before = read_clocks();
  loop.turn(0);
  const Time during = loop.now();
  const Time after = read_clocks();
  EXPECT_GE(during.mono_us, before.mono_us);
  EXPECT_LE(during.mono_us, after.mono_us);
  loop.turn(0);
  EXPECT_GE(loop.now().mono_us, after.mono_us);
}

TEST(Loop, RunsEverythingPostedBeforeATurnInThatTurn) {
  Loop loop;
  std::vector<int> order;
  int wakes = 0;
  loop.on_wake([&] { ++wakes; });
  for (int i = 0; i < 3; ++i) loop.post([&order, i] { order.push_back(i); });
  loop.turn(-1);
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
  EXPECT_EQ(wakes, 1);
  loop.turn(0);
  EXPECT_EQ(wakes, 1);
}

TEST(Loop, RunsPostsOfManyThreadsInTheOrderOfEach) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 5000;
  Loop loop;
  std::array<int, kThreads> next{};
  int total = 0;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t)
    threads.push_back(start_thread("poster", [&, t] {
      for (int i = 0; i < kPosts; ++i)
        loop.post([&, t, i] {
          EXPECT_EQ(next[t]++, i);
          if (++total == kThreads * kPosts) loop.stop();
        });
    }));
  loop.run();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(total, kThreads * kPosts);
}

TEST(Loop, CanBeStoppedFromAnotherThreadWhileItSleeps) {
  Loop loop;
  std::thread stopper([&] { loop.stop(); });
  loop.run();
  stopper.join();
}

TEST(Loop, DestroysPostsThatItNeverRan) {
  auto owned = std::make_shared<int>(1);
  {
    Loop loop;
    loop.post([owned] {});
    EXPECT_EQ(owned.use_count(), 2);
  }
  EXPECT_EQ(owned.use_count(), 1);
}

// Loops that pass numbers round in batches: each number goes through every loop many times.
TEST(Mailbox, CarriesBatchesBetweenLoopsWithoutLossOrReordering) {
  constexpr std::size_t kLoops = 3;
  constexpr int kNumbers = 200;
  constexpr int kRounds = 60;
  struct Message {
    int number;
    int hops;
  };
  struct Shard {
    Loop loop;
    Mailbox<Message> inbox{loop.waker()};
    std::vector<Message> received;
    std::vector<Message> outgoing;
    int expected = 0;
  };
  std::array<Shard, kLoops> shards;
  for (std::size_t s = 0; s < kLoops; ++s) {
    Shard& shard = shards[s];
    Shard& next = shards[(s + 1) % kLoops];
    shard.loop.on_wake([&shard] {
      shard.inbox.take(shard.received);
      for (const Message& message : shard.received) {
        EXPECT_EQ(message.number, shard.expected);
        shard.expected = (shard.expected + 1) % kNumbers;
        if (message.hops > 0)
          shard.outgoing.push_back({message.number, message.hops - 1});
        else if (message.number == kNumbers - 1)
          shard.loop.stop();
      }
    });
    shard.loop.on_turn_end([&shard, &next] { next.inbox.push(shard.outgoing); });
  }
  std::vector<std::thread> threads;
  for (Shard& shard : shards) threads.push_back(start_thread("shard", [&shard] { shard.loop.run(); }));
  std::vector<Message> all;
  for (int i = 0; i < kNumbers; ++i) all.push_back({i, kRounds});
  shards[0].inbox.push(all);
  threads[kRounds % kLoops].join();
  for (Shard& shard : shards) shard.loop.stop();
  for (auto& thread : threads)
    if (thread.joinable()) thread.join();
  for (Shard& shard : shards) EXPECT_EQ(shard.expected, 0);
}

}  // namespace
}  // namespace tidewire::net
