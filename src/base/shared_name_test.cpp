#include "base/shared_name.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace tidewire {
namespace {

TEST(SharedName, IsTheTextItWasMadeOfWhateverTheLength) {
  for (std::size_t size = 0; size <= 300; ++size) {
    const std::string text(size, 'a');
    const SharedName name(text);
    EXPECT_EQ(name, text);
    EXPECT_EQ(name.size(), size);
    EXPECT_EQ(name.empty(), size == 0);
    EXPECT_EQ(SharedName(name), text);
    EXPECT_FALSE(name == text + "b");
  }
}

TEST(SharedName, SharesALongText) {
  const SharedName name("user:8b0c2f3e-7a41-4f0e-9a6b-1f0d5c3e2a77");
  const SharedName copy = name;
  EXPECT_EQ(copy.view().data(), name.view().data());
  EXPECT_EQ(copy, name);
}

TEST(SharedName, OutlivesTheOneItWasCopiedFrom) {
  SharedName copy;
  {
    const SharedName name("longer than what fits in place");
    copy = name;
  }
  EXPECT_EQ(copy, "longer than what fits in place");
}

TEST(SharedName, IsEmptyOnceMovedFrom) {
  for (const char* text : {"short", "longer than what fits in place"}) {
    SharedName name(text);
    const SharedName moved = std::move(name);
    EXPECT_EQ(moved, text);
    EXPECT_TRUE(name.empty());
  }
}

TEST(SharedName, TakesAnotherValueOfEitherLength) {
  const SharedName near("near"), far("longer than what fits in place");
  SharedName name;
  for (const SharedName* next : {&near, &far, &far, &near, &near}) {
    name = *next;
    EXPECT_EQ(name, *next);
  }
  name = far;
  const SharedName& same = name;
  name = same;
  EXPECT_EQ(name, far);
}

}  // namespace
}  // namespace tidewire
