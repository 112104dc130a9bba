#include "kinds/member_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidewire::kinds {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(MemberChanges, KnowsWhoWasThereBefore) {
  MemberChanges changes;
  EXPECT_TRUE(changes.empty());
  changes.add("new", false);
  changes.add("old", true);
  changes.add("new", true);
  changes.add("old", false);
  changes.add("old", true);
  EXPECT_THAT(changes.leavers(), ElementsAre("old"));
}

TEST(MemberChanges, ThoseThatAreOverTellOfThoseThatAreNot) {
  MemberChanges changes;
  changes.add("new", false);
  changes.add("old", true);
  changes.add("new", true);
  changes.add("old", false);
  changes.pop("new");
  EXPECT_THAT(changes.leavers(), ElementsAre("new", "old"));
  changes.pop("old");
  EXPECT_THAT(changes.leavers(), ElementsAre("new"));
  changes.pop("new");
  EXPECT_THAT(changes.leavers(), IsEmpty());
  EXPECT_FALSE(changes.empty());
  changes.pop("old");
  EXPECT_TRUE(changes.empty());
}

}  // namespace
}  // namespace tidewire::kinds
