#include "guard/call_watch.h"

#include <gtest/gtest.h>

#include <string>

namespace tidewire::guard {
namespace {

constexpr std::int64_t kWindow_ms = ActivityMeter::kWindow_ms;
const CallWatch::Caller kAnn{.key = {.high = 1, .low = 2}, .tenant = 3, .user = "ann"};

// What take_ended() gives once it has come round.
std::vector<CallWatch::Window> take_all(CallWatch& watch, std::int64_t now_ms) {
  std::vector<CallWatch::Window> all;
  for (int i = 0; i < 64; ++i)
    for (CallWatch::Window& window : watch.take_ended(now_ms)) all.push_back(std::move(window));
  return all;
}

TEST(CallWatch, AWindowEndsWithTheCallBehindIt) {
  CallWatch watch;
  EXPECT_FALSE(watch.note(kAnn, {.bytes = 100}, 1'000));
  EXPECT_FALSE(watch.note(kAnn, {.bytes = 20, .failed = true, .refused_channel = 7}, 2'000));
  const auto ended = watch.note(kAnn, {.bytes = 1}, 1'000 + kWindow_ms);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->key, kAnn.key);
  EXPECT_EQ(ended->tenant, 3);
  EXPECT_EQ(ended->user, "ann");
  EXPECT_EQ(ended->activity.requests, 2u);
  EXPECT_EQ(ended->activity.errors, 1u);
  EXPECT_EQ(ended->activity.refused_channels, 1u);
  EXPECT_EQ(ended->activity.bytes, 120u);
  EXPECT_FALSE(watch.note(kAnn, {}, 2'000 + kWindow_ms)) << "it was taken";
}

TEST(CallWatch, WhoFallsSilentIsTakenOnceAndThenForgotten) {
  CallWatch watch;
  watch.note(kAnn, {}, 1'000);
  EXPECT_TRUE(take_all(watch, 1'000 + kWindow_ms - 1).empty());
  const auto ended = take_all(watch, 1'000 + kWindow_ms);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].user, "ann");
  EXPECT_TRUE(take_all(watch, 1'000 + kWindow_ms).empty());
  EXPECT_EQ(watch.callers(), 1u);
  take_all(watch, 1'000 + 2 * kWindow_ms);
  EXPECT_EQ(watch.callers(), 0u);
}

TEST(CallWatch, IsBoundedWhateverCallersThereAre) {
  CallWatch watch(64 * 8);
  for (std::uint64_t i = 1; i < 20'000; ++i) {
    const std::string name = std::to_string(i);
    watch.note({.key = {.high = i << 52, .low = i}, .tenant = 0, .user = name}, {},
               static_cast<std::int64_t>(i / 100));
  }
  EXPECT_LE(watch.callers(), 64u * 10);
}

TEST(CallWatch, MessagesAreThoseOfPeopleOrOfPrograms) {
  CallWatch watch;
  for (int i = 0; i < 10; ++i) watch.note(kAnn, {.message = ActivityMeter::Writer::program}, 1'000 + i);
  EXPECT_TRUE(watch.note(kAnn, {}, 1'000 + kWindow_ms)->activity.by_machine);
}

}  // namespace
}  // namespace tidewire::guard
