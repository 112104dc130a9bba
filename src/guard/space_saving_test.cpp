#include "guard/space_saving.h"

#include <map>

#include "guard/seeds.h"

namespace tidewire::guard {
namespace {

using Sketch = SpaceSaving<int, 8>;
LimitKey key(std::uint64_t n) { return {.high = n * 7, .low = n + 1}; }

TEST(SpaceSaving, CountsExactlyWhileThereIsRoom) {
  Sketch sketch;
  for (int n = 0; n < 8; ++n)
    for (int i = 0; i <= n; ++i)
      sketch.note(key(static_cast<std::uint64_t>(n)), 1, 10, [&](int& label) { label = n; });
  const auto entries = sketch.entries();
  ASSERT_EQ(entries.size(), 8u);
  for (int i = 0; i < 8; ++i) {
    const auto& entry = entries[static_cast<std::size_t>(i)];
    EXPECT_EQ(entry.label, 7 - i);
    EXPECT_EQ(entry.count, static_cast<std::uint64_t>(8 - i));
    EXPECT_EQ(entry.bytes, static_cast<std::uint64_t>(10 * (8 - i)));
    EXPECT_EQ(entry.error, 0u);
  }
}

TEST(SpaceSaving, HasEveryHeavyOneWithACountInItsBoundsAlsoWhenMerged) {
  for_seeds(100, [](Dice& dice) {
    Sketch sketches[2];
    std::map<std::uint64_t, std::uint64_t> truth;
    std::uint64_t total = 0;
    for (int i = 0; i < 5'000; ++i) {
      const auto n = static_cast<std::uint64_t>(dice.one_in(2) ? dice.roll(0, 2) : dice.roll(3, 500));
      sketches[dice.roll(0, 1)].note(key(n), 1, 0, [&](int& label) { label = static_cast<int>(n); });
      ++truth[n];
      ++total;
    }
    const auto check = [&](const Sketch& sketch, bool whole) {
      for (const auto& entry : sketch.entries()) {
        const std::uint64_t real = truth[static_cast<std::uint64_t>(entry.label)];
        if (whole) {
          ASSERT_GE(entry.count, real > total / 8 ? real : 0);
        }
        ASSERT_LE(entry.count - entry.error, real);
      }
    };
    check(sketches[0], false);
    sketches[0].merge(sketches[1]);
    check(sketches[0], true);
    for (const auto& [n, count] : truth) {
      if (count <= total / 8) continue;
      const auto entries = sketches[0].entries();
      ASSERT_TRUE(std::any_of(entries.begin(), entries.end(), [&, wanted = n](const auto& e) {
        return e.label == static_cast<int>(wanted);
      })) << n;
    }
  });
}

TEST(SpaceSaving, AsksForALabelOnlyOfWhoIsNew) {
  Sketch sketch;
  int asked = 0;
  for (int i = 0; i < 10; ++i) sketch.note(key(1), 1, 0, [&](int&) { ++asked; });
  EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace tidewire::guard
