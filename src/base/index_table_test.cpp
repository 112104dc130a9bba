#include "base/index_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"

namespace tidewire {
namespace {

const auto kAny = [](std::uint32_t) { return true; };

TEST(IndexTable, FindsNothingWhileItIsEmpty) {
  EXPECT_EQ(IndexTable().find(7, kAny), IndexTable::kNone);
  EXPECT_EQ(IndexTable().slots(), 0u);
}

TEST(IndexTable, AsksWhichOfThoseWithOneHashIsMeant) {
  IndexTable table;
  table.insert(7, 1);
  table.insert(7, 2);
  EXPECT_EQ(table.find(7, [](std::uint32_t number) { return number == 2; }), 2u);
  EXPECT_EQ(table.find(7, [](std::uint32_t number) { return number == 3; }), IndexTable::kNone);
  EXPECT_EQ(table.find(8, kAny), IndexTable::kNone);
  table.replace(7, 2, 5);
  EXPECT_EQ(table.find(7, [](std::uint32_t number) { return number == 5; }), 5u);
  table.erase(7, 1);
  EXPECT_EQ(table.find(7, kAny), 5u);
}

// Few hashes, so that there are long chains to mend.
TEST(IndexTable, DoesWhatAMapDoesWhateverComesAndGoes) {
  for (const std::uint32_t hashes : {5u, 1000u, 0xffffffffu}) {
    Random random(hashes);
    IndexTable table;
    std::map<std::uint32_t, std::uint32_t> model;  // number to hash
    for (int step = 0; step < 20'000; ++step) {
      const bool grows = step % 10'000 < 5'000;
      const auto number = static_cast<std::uint32_t>(random.below(3000));
      const auto found = model.find(number);
      if (found == model.end() && random.below(4) < (grows ? 3u : 1u)) {
        const auto hash = static_cast<std::uint32_t>(random.next()) % hashes;
        model[number] = hash;
        table.insert(hash, number);
      } else if (found != model.end() && random.below(4) >= (grows ? 3u : 1u)) {
        table.erase(found->second, number);
        model.erase(found);
      }
      ASSERT_EQ(table.size(), model.size());
    }
    for (const auto& [number, hash] : model)
      EXPECT_EQ(table.find(hash, [&](std::uint32_t other) { return other == number; }), number);
    std::size_t count = 0;
    table.for_each([&](std::uint32_t number) { count += model.count(number); });
    EXPECT_EQ(count, model.size());
    for (const auto& [number, hash] : model) table.erase(hash, number);
    EXPECT_EQ(table.size(), 0u);
    EXPECT_LE(table.slots(), 16u) << "memory is given back";
  }
}

}  // namespace
}  // namespace tidewire
