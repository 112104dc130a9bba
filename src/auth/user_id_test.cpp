#include "auth/user_id.h"

#include <gtest/gtest.h>

#include <string>

namespace tidewire::auth {
namespace {

TEST(UserId, IsTheIdAndNamesTheInbox) {
  for (const std::string& id : {std::string("7"), std::string(36, 'u'), std::string(200, '@')}) {
    const UserId user(id);
    EXPECT_EQ(user, id);
    EXPECT_EQ(user.size(), id.size());
    EXPECT_EQ(user.inbox(), "user:" + id);
  }
  EXPECT_EQ(UserId(), "");
}

TEST(UserId, SharesItsTextWithItsInboxsName) {
  const UserId user(std::string(36, 'u'));
  const SharedName inbox = user.inbox();
  EXPECT_EQ(user.view().data(), inbox.view().data() + kInboxPrefix.size());
}

}  // namespace
}  // namespace tidewire::auth
