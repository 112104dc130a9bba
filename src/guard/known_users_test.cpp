#include "guard/known_users.h"

#include <gtest/gtest.h>

namespace tidewire::guard {
namespace {

const LimitKeys kKeys(7);
LimitKey user(int n) { return kKeys.user("default", std::to_string(n)); }

constexpr KnownUsersOptions kOptions{
    .ttl_ms = 1000, .absent_ttl_ms = 100, .stale_ttl_ms = 5000, .entries = 6400};

TEST(KnownUsers, KeepEachAnswerForItsTime) {
  KnownUsers users(kOptions);
  EXPECT_EQ(users.find(user(1), 0), std::nullopt);
  users.put(user(1), UserState::exists, 0);
  users.put(user(2), UserState::absent, 0);
  EXPECT_EQ(users.find(user(1), 999), UserState::exists);
  EXPECT_EQ(users.find(user(1), 1000), std::nullopt);
  EXPECT_EQ(users.find(user(2), 99), UserState::absent);
  EXPECT_EQ(users.find(user(2), 100), std::nullopt);
}

TEST(KnownUsers, GoOnForAWhileWithoutTheDirectory) {
  KnownUsers users(kOptions);
  EXPECT_EQ(users.without_directory(user(1), 0), UserState::unavailable);
  users.put(user(1), UserState::exists, 0);
  EXPECT_EQ(users.without_directory(user(1), 5999), UserState::exists);
  EXPECT_EQ(users.without_directory(user(1), 6000), UserState::unavailable);
}

TEST(KnownUsers, DoNotHoldAnOldAbsenceAgainstAUserWhoMayHaveBeenMadeSince) {
  KnownUsers users(kOptions);
  users.put(user(1), UserState::absent, 0);
  EXPECT_EQ(users.without_directory(user(1), 50), UserState::unavailable);
}

TEST(KnownUsers, TheNewerAnswerCounts) {
  KnownUsers users(kOptions);
  users.put(user(1), UserState::exists, 0);
  users.put(user(1), UserState::absent, 10);
  EXPECT_EQ(users.find(user(1), 20), UserState::absent);
  EXPECT_EQ(users.without_directory(user(1), 200), UserState::unavailable);
}

TEST(KnownUsers, StayWithinTheirBoundWhoeverAsks) {
  KnownUsers users(kOptions);
  for (int n = 0; n < 100'000; ++n)
    users.put(user(n), n % 2 == 0 ? UserState::exists : UserState::absent, n / 10);
  EXPECT_LE(users.size(), kOptions.entries + 64);
  EXPECT_GT(users.size(), kOptions.entries / 2);
}

TEST(KnownUsers, ForgetWhatIsOver) {
  KnownUsers users(kOptions);
  for (int n = 0; n < 1000; ++n) users.put(user(n), UserState::exists, 0);
  for (int n = 0; n < 64; ++n) users.sweep(100'000);
  EXPECT_EQ(users.size(), 0u);
}

}  // namespace
}  // namespace tidewire::guard
