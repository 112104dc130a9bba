#include "guard/bounded_table.h"

#include <map>

#include "guard/limit_key.h"
#include "guard/seeds.h"

namespace tidewire::guard {
namespace {

struct Entry {
  std::int64_t value = 0;
  std::int64_t idle_ms = 0;
  std::int64_t idle_at_ms() const { return idle_ms; }
};
using Table = BoundedTable<Entry>;

LimitKey key_of(std::int64_t n) { return {.high = 1, .low = static_cast<std::uint64_t>(n)}; }

TEST(BoundedTable, IsEmptyWithoutMemoryAtFirst) {
  Table table(100);
  EXPECT_EQ(table.find(key_of(1)), nullptr);
  table.sweep(0);
  EXPECT_EQ(table.slots(), 0u);
}

TEST(BoundedTable, KeepsWhatIsNotIdleAndNothingElse) {
  for_seeds(100, [](Dice& dice) {
    Table table(1'000'000);
    std::map<std::int64_t, Entry> model;
    std::int64_t now_ms = 1;
    const std::int64_t keys = dice.roll(1, 400);
    // Few low bits: long chains, also around the end of the table.
    const std::int64_t spread = dice.one_in(2) ? 1 : 7;
    for (int i = 0; i < 3'000; ++i) {
      now_ms += dice.roll(0, 3);
      const std::int64_t n = dice.roll(0, keys) / spread * spread;
      Entry& entry = table.insert(key_of(n), now_ms);
      if (model.contains(n) && model[n].idle_ms > now_ms) {
        ASSERT_EQ(entry.value, model[n].value);
      }
      entry = {.value = i, .idle_ms = dice.one_in(20) ? kPinned : now_ms + dice.roll(0, 200)};
      model[n] = entry;
      if (dice.one_in(100)) {
        table.sweep(now_ms);
        std::erase_if(model, [&](const auto& pair) { return pair.second.idle_ms <= now_ms; });
        ASSERT_EQ(table.size(), model.size());
      }
      if (dice.one_in(50)) {
        for (const auto& [m, expected] : model) {
          if (expected.idle_ms <= now_ms) continue;
          const Entry* found = table.find(key_of(m));
          ASSERT_NE(found, nullptr) << m;
          ASSERT_EQ(found->value, expected.value);
        }
      }
    }
  });
}

TEST(BoundedTable, DoesNotGrowWithIdleEntries) {
  Table table(1'000'000);
  for (std::int64_t i = 0; i < 100'000; ++i) table.insert(key_of(i * 7919), i).idle_ms = i + 10;
  EXPECT_LE(table.size(), 64u);
  EXPECT_LE(table.slots(), 128u);
}

TEST(BoundedTable, NeverHoldsMoreThanItsBoundOfEntriesThatMayGo) {
  Table table(500);
  for (std::int64_t i = 0; i < 20'000; ++i) {
    table.insert(key_of(i * 7919), 0).idle_ms = 1'000'000 + i;
    ASSERT_LE(table.size(), 500u);
  }
}

TEST(BoundedTable, PrefersToDropWhatIsNearestToIdle) {
  Table table(64);
  for (std::int64_t i = 0; i < 32; ++i) table.insert(key_of(i * 7919), 0).idle_ms = 1'000'000'000;
  for (std::int64_t i = 1'000; i < 3'000; ++i) table.insert(key_of(i * 7919), 0).idle_ms = 1'000 + i;
  int kept = 0;
  for (std::int64_t i = 0; i < 32; ++i) kept += table.find(key_of(i * 7919)) ? 1 : 0;
  EXPECT_GE(kept, 30);
}

TEST(BoundedTable, NeverDropsWhatIsPinned) {
  Table table(10);
  for (std::int64_t i = 0; i < 300; ++i) table.insert(key_of(i * 7919), 0) = {.value = i, .idle_ms = kPinned};
  for (std::int64_t i = 1'000; i < 9'000; ++i) table.insert(key_of(i * 7919), 0).idle_ms = 1;
  table.sweep(10);
  EXPECT_EQ(table.size(), 300u);
  for (std::int64_t i = 0; i < 300; ++i) {
    ASSERT_NE(table.find(key_of(i * 7919)), nullptr);
    EXPECT_EQ(table.find(key_of(i * 7919))->value, i);
  }
}

TEST(BoundedTable, GivesMemoryBackAfterAFlood) {
  Table table(1'000'000);
  for (std::int64_t i = 0; i < 100'000; ++i) table.insert(key_of(i * 7919), 0).idle_ms = 1'000;
  EXPECT_GE(table.slots(), 100'000u);
  table.insert(key_of(-1), 0).idle_ms = kPinned;
  table.sweep(1'000);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.slots(), 16u);
  EXPECT_NE(table.find(key_of(-1)), nullptr);
}

}  // namespace
}  // namespace tidewire::guard
