#include "net/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <vector>

namespace tidewire::net {
namespace {

TEST(Worker, BringsResultsBackToTheLoopInOrder) {
  Loop loop;
  std::vector<int> results;
  const std::thread::id here = std::this_thread::get_id();
  Worker worker("test", 100);
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(worker.submit(
        [i, here] {
          EXPECT_NE(std::this_thread::get_id(), here);
          return std::make_unique<int>(i);
        },
        loop,
        [&](std::unique_ptr<int> result) {
          EXPECT_EQ(std::this_thread::get_id(), here);
          results.push_back(*result);
          if (results.size() == 50) loop.stop();
        }));
  loop.run();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)], i);
}

TEST(Worker, RefusesTasksBeyondItsBound) {
  std::promise<void> started, release;
  Worker worker("test", 2);
  ASSERT_TRUE(worker.submit([&] {
    started.set_value();
    release.get_future().wait();
  }));
  started.get_future().wait();
  EXPECT_TRUE(worker.submit([] {}));
  EXPECT_TRUE(worker.submit([] {}));
  EXPECT_FALSE(worker.submit([] {}));
  EXPECT_EQ(worker.queued(), 2u);
  release.set_value();
}

TEST(Worker, RunsWhatItAcceptedBeforeItIsDestroyed) {
  int done = 0;
  {
    Worker worker("test", 100);
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(worker.submit([&done] { ++done; }));
  }
  EXPECT_EQ(done, 100);
}

}  // namespace
}  // namespace tidewire::net
