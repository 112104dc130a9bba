#include "base/thin_list.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"

namespace tidewire {
namespace {

struct Named {
  std::unique_ptr<std::string> name;
};

TEST(ThinList, TakesOnePointerAndNothingElseWhileItIsEmpty) {
  EXPECT_EQ(sizeof(ThinList<Named>), sizeof(void*));
  ThinList<Named> list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.begin(), list.end());
  list.emplace_back().name = std::make_unique<std::string>("one");
  EXPECT_EQ(*list[0].name, "one");
  list.pop_back();
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.begin(), nullptr);
}

TEST(ThinList, IsAVectorWhateverItsLength) {
  Random random(1);
  ThinList<Named> list;
  std::vector<std::string> model;
  for (std::uint32_t step = 0; step < 20'000; ++step) {
    const bool grows = random.below(100) < (step / 1000 % 2 == 0 ? 60u : 40u);
    if (grows) {
      list.emplace_back().name = std::make_unique<std::string>(std::to_string(step));
      model.push_back(std::to_string(step));
    } else if (!model.empty()) {
      const std::size_t place = random.below(model.size());
      model[place] = model.back();
      list[place] = std::move(list.back());
      model.pop_back();
      list.pop_back();
    }
    ASSERT_EQ(list.size(), model.size());
    ASSERT_TRUE(std::equal(list.begin(), list.end(), model.begin(),
                           [](const Named& a, const std::string& b) { return *a.name == b; }));
  }
}

}  // namespace
}  // namespace tidewire
