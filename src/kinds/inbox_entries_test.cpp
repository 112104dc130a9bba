#include "kinds/inbox_entries.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tidewire::kinds {
namespace {

using enum Priority;

TEST(InboxEntries, StandInTheOrderOfDelivery) {
  EXPECT_LT(InboxPlace(critical, ~std::uint64_t{0}), InboxPlace(high, 0));
  EXPECT_LT(InboxPlace(low, 1), InboxPlace(low, 2));
  const InboxPlace place(low, (std::uint64_t{1} << 53) - 1);
  EXPECT_EQ(place.priority(), low);
  EXPECT_EQ(place.seq(), (std::uint64_t{1} << 53) - 1);
}

TEST(InboxEntries, KeepTheOneThatIsThereAlready) {
  InboxEntries entries;
  entries.add({high, 1}, {.expires_ms = 5});
  entries.add({high, 1}, {.expires_ms = 9});
  EXPECT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries.ends(), 1u);
  EXPECT_EQ(entries.find(1)->second.expires_ms, 5);
}

TEST(InboxEntries, HoldTheNextEndOnTopWhateverIsRemoved) {
  InboxEntries entries;
  entries.add({high, 1}, {.expires_ms = 5});
  entries.add({low, 2}, {.expires_ms = 9});
  entries.remove(entries.find(1));
  EXPECT_EQ(entries.ends(), 1u);
  EXPECT_EQ(entries.pending(8), 1u);
  EXPECT_EQ(entries.pending(9), 0u);
}

TEST(InboxEntries, LetGoOfTheEndsOfWhatWasRemoved) {
  InboxEntries entries;
  entries.add({low, 1}, {.expires_ms = 1});
  for (std::uint64_t seq = 2; seq < 10'000; ++seq) {
    entries.add({medium, seq}, {.expires_ms = 10});
    entries.remove(entries.find(seq));
    EXPECT_LE(entries.ends(), 2 * entries.size() + 16);
  }
}

TEST(InboxEntries, EndInTimeAfterManyWereRemoved) {
  std::mt19937 random(1);
  for (int run = 0; run < 200; ++run) {
    InboxEntries entries;
    std::vector<std::int64_t> left;
    for (std::uint64_t seq = 1; seq <= 200; ++seq)
      entries.add({static_cast<Priority>(random() % 4), seq},
                  {.expires_ms = static_cast<std::int64_t>(random() % 1000)});
    for (std::uint64_t seq = 1; seq <= 200; ++seq) {
      if (random() % 4 != 0)
        entries.remove(entries.find(seq));
      else
        left.push_back(entries.find(seq)->second.expires_ms);
    }
    for (std::int64_t now_ms = 0; now_ms < 1000; now_ms += 50) {
      const auto pending = std::ranges::count_if(left, [&](std::int64_t end) { return end > now_ms; });
      ASSERT_EQ(entries.pending(now_ms), static_cast<std::size_t>(pending));
      entries.remove_expired(now_ms);
      ASSERT_EQ(entries.size(), static_cast<std::size_t>(pending));
    }
    entries.remove_expired(1000);
    EXPECT_TRUE(entries.empty());
    EXPECT_EQ(entries.ends(), 0u);
  }
}

TEST(InboxEntries, CountTheBytesOfTheirBodies) {
  InboxEntries entries;
  entries.add({high, 1}, {.expires_ms = 5, .body = SharedBytes("four")});
  entries.add({high, 1}, {.expires_ms = 5, .body = SharedBytes("it is there already")});
  entries.add({high, 2}, {.expires_ms = 9, .body = SharedBytes("seven..")});
  entries.add({low, 3}, {.expires_ms = 9, .body = SharedBytes("two")});
  EXPECT_EQ(entries.bytes(), 14u);
  EXPECT_EQ(entries.pending_above(low, 4).bytes, 11u);
  EXPECT_EQ(entries.pending_above(low, 5).bytes, 7u);
  entries.remove_expired(5);
  EXPECT_EQ(entries.bytes(), 10u);
  entries.remove_least();
  entries.remove(entries.find(2));
  EXPECT_EQ(entries.bytes(), 0u);
}

TEST(InboxEntries, RemoveTheOldestOfTheLowestPriorityFirst) {
  InboxEntries entries;
  entries.add({high, 1}, {.expires_ms = 5});
  entries.add({medium, 2}, {.expires_ms = 5});
  entries.add({medium, 3}, {.expires_ms = 5});
  EXPECT_EQ(entries.pending_above(medium, 0).count, 1u);
  EXPECT_EQ(entries.oldest_seq(), 1u);
  entries.remove_least();
  EXPECT_EQ(entries.find(2), entries.all().end());
  entries.remove_least();
  entries.remove(entries.find(1));
  EXPECT_EQ(entries.oldest_seq(), 0u);
}

}  // namespace
}  // namespace tidewire::kinds
