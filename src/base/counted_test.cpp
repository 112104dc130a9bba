#include "base/counted.h"

#include <gtest/gtest.h>

#include <memory>

namespace tidewire {
namespace {

struct Shared {
  std::shared_ptr<int> witness;
  ReferenceCount references = {};
};
using SharedPtr = CountedPtr<Shared>;

TEST(CountedPtr, EndsTheObjectWithItsLastReference) {
  const auto witness = std::make_shared<int>(7);
  SharedPtr first = SharedPtr::make(Shared{.witness = witness});
  SharedPtr second = first;
  EXPECT_EQ(first, second);
  first = nullptr;
  EXPECT_EQ(first, nullptr);
  EXPECT_FALSE(first);
  EXPECT_EQ(witness.use_count(), 2);
  EXPECT_EQ(*second->witness, 7);
  SharedPtr third = std::move(second);
  EXPECT_EQ(second, nullptr);  // NOLINT(bugprone-use-after-move): what a move leaves is what is tested
  EXPECT_EQ(witness.use_count(), 2);
  third = SharedPtr();
  EXPECT_EQ(witness.use_count(), 1);
}

TEST(CountedPtr, StandsBeingAssignedToItself) {
  SharedPtr pointer = SharedPtr::make(Shared{.witness = std::make_shared<int>(1)});
  const SharedPtr& same = pointer;
  pointer = same;
  EXPECT_EQ(*pointer->witness, 1);
}

TEST(CountedPtr, ACopyOfTheObjectIsSharedByNobodyYet) {
  const auto witness = std::make_shared<int>(1);
  const SharedPtr pointer = SharedPtr::make(Shared{.witness = witness});
  SharedPtr other = SharedPtr::make(*pointer);
  EXPECT_NE(other, pointer);
  EXPECT_EQ(witness.use_count(), 3);
  other = nullptr;
  EXPECT_EQ(witness.use_count(), 2);
}

}  // namespace
}  // namespace tidewire
