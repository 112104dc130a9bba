#include "base/short_list.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "base/shared_text.h"

namespace tidewire {
namespace {

struct Pair {
  std::uint32_t a = 0, b = 0;
  friend bool operator==(const Pair&, const Pair&) = default;
};

TEST(ShortList, TakesNoMoreThanItsElementAndTwoNumbers) {
  EXPECT_EQ(sizeof(ShortList<Pair>), 16u);
  ShortList<Pair> list;
  EXPECT_TRUE(list.empty());
  list.push_back({1, 2});
  EXPECT_EQ(list[0], (Pair{1, 2}));
  list.pop_back();
  EXPECT_TRUE(list.empty());
}

TEST(ShortList, IsAVectorWhateverItsLength) {
  Random random(1);
  ShortList<Pair> list;
  std::vector<Pair> model;
  for (std::uint32_t step = 0; step < 20'000; ++step) {
    const bool grows = random.below(100) < (step / 1000 % 2 == 0 ? 60u : 40u);
    if (grows) {
      list.push_back({step, step + 1});
      model.push_back({step, step + 1});
    } else if (!model.empty()) {
      const std::size_t place = random.below(model.size());
      model[place] = model.back();
      list[place] = list.back();
      model.pop_back();
      list.pop_back();
    }
    ASSERT_EQ(list.size(), model.size());
    ASSERT_TRUE(std::equal(list.begin(), list.end(), model.begin()));
  }
}

TEST(ShortList, MovesWithWhatItHas) {
  for (const std::uint32_t count : {0u, 1u, 9u}) {
    ShortList<Pair> from;
    for (std::uint32_t i = 0; i < count; ++i) from.push_back({i, i});
    ShortList<Pair> to;
    to.push_back({7, 7});
    to = std::move(from);
    ASSERT_EQ(to.size(), count);
    for (std::uint32_t i = 0; i < count; ++i) EXPECT_EQ(to[i], (Pair{i, i}));
  }
}

TEST(SharedText, IsOneBufferForAllItsCopies) {
  const SharedText text(std::string("creator"));
  const SharedText copy = text;
  EXPECT_EQ(copy, "creator");
  EXPECT_EQ(copy.view().data(), text.view().data());
  EXPECT_TRUE(SharedText().empty());
  EXPECT_TRUE(SharedText("").empty());
  EXPECT_EQ(SharedText(""), "");
}

}  // namespace
}  // namespace tidewire
