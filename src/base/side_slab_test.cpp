#include "base/side_slab.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "base/random.h"

namespace tidewire {
namespace {

TEST(SideSlab, HasNothingWhereNothingWasMade) {
  SideSlab<int> slab;
  EXPECT_EQ(slab[0], nullptr);
  EXPECT_EQ(slab[1'000'000], nullptr);
  slab.emplace(300, 7);
  EXPECT_EQ(slab.slots(), 301u);
  EXPECT_EQ(slab[0], nullptr);
  EXPECT_EQ(slab[299], nullptr);
  EXPECT_EQ(slab[301], nullptr);
  EXPECT_EQ(*slab[300], 7);
}

TEST(SideSlab, DoesWhatAMapDoesAndNeverMovesAnObject) {
  Random random(1);
  SideSlab<std::shared_ptr<int>> slab;
  std::map<std::size_t, std::shared_ptr<int>*> model;
  const auto counted = std::make_shared<int>(0);
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t index = random.below(700);
    if (model.contains(index)) {
      ASSERT_EQ(slab[index], model[index]);
      slab.erase(index);
      model.erase(index);
    } else {
      ASSERT_EQ(slab[index], nullptr);
      model[index] = &slab.emplace(index, counted);
    }
    ASSERT_EQ(counted.use_count(), static_cast<long>(model.size()) + 1);
  }
}

TEST(SideSlab, EndsWhatIsInIt) {
  const auto counted = std::make_shared<int>(0);
  {
    SideSlab<std::shared_ptr<int>> slab;
    slab.emplace(5, counted);
    slab.emplace(500, counted);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

}  // namespace
}  // namespace tidewire
