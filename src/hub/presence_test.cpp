#include "hub/presence.h"

#include <gtest/gtest.h>

namespace tidewire::hub {
namespace {

using Change = Presence::Change;

Author author(const std::string& user, std::uint64_t connection) {
  return {.user_id = user,
          .user_json = "{\"id\":\"" + user + "\"}",
          .from_json = {},
          .scope = "u" + user,
          .connection = connection};
}

TEST(Presence, TellsOfAUsersFirstConnectionAndLastLeave) {
  Presence presence;
  EXPECT_EQ(presence.enter(author("a", 1), "1", 100).change, Change::enter);
  EXPECT_EQ(presence.enter(author("a", 2), std::nullopt, 200).change, Change::none);
  EXPECT_EQ(presence.members_json(), R"([{"user":{"id":"a"},"connections":2,"data":1,"since":100}])");
  EXPECT_EQ(presence.leave(author("a", 1)).change, Change::none);
  const auto last = presence.leave(author("a", 2));
  EXPECT_EQ(last.change, Change::leave);
  EXPECT_NE(last.member.find("\"data\":1"), std::string::npos) << "as it was";
  EXPECT_TRUE(presence.empty());
}

TEST(Presence, EntersOncePerConnection) {
  Presence presence;
  presence.enter(author("a", 1), std::nullopt, 0);
  EXPECT_EQ(presence.enter(author("a", 1), std::nullopt, 0).change, Change::none);
  EXPECT_EQ(presence.members_json(), R"([{"user":{"id":"a"},"connections":1,"data":null,"since":0}])");
}

TEST(Presence, TellsOfNewDataOnly) {
  Presence presence;
  presence.enter(author("a", 1), "1", 0);
  EXPECT_EQ(presence.enter(author("a", 2), "2", 0).change, Change::update);
  EXPECT_EQ(presence.enter(author("a", 2), "2", 0).change, Change::none);
  EXPECT_EQ(presence.update(author("a", 1), "3")->change, Change::update);
  EXPECT_EQ(presence.update(author("a", 1), "3")->change, Change::none);
  EXPECT_EQ(presence.update(author("a", 1), std::nullopt)->change, Change::none);
  EXPECT_NE(presence.members_json().find("\"data\":3"), std::string::npos);
}

TEST(Presence, RefusesAnUpdateOfWhoHasNotEntered) {
  Presence presence;
  EXPECT_FALSE(presence.update(author("a", 1), "1"));
  presence.enter(author("a", 1), "1", 0);
  EXPECT_FALSE(presence.update(author("a", 2), "1")) << "another connection of the same user";
}

TEST(Presence, TakesALeaveWithoutEnterForNothing) {
  Presence presence;
  EXPECT_EQ(presence.leave(author("a", 1)).change, Change::none);
  presence.enter(author("a", 1), std::nullopt, 0);
  EXPECT_EQ(presence.leave(author("a", 2)).change, Change::none);
  EXPECT_FALSE(presence.empty());
}

TEST(Presence, KeepsAUserForItsGraceAfterTheLastConnectionClosed) {
  Presence presence;
  presence.enter(author("a", 1), std::nullopt, 0);
  presence.enter(author("a", 2), std::nullopt, 0);
  EXPECT_FALSE(presence.depart(author("a", 1), 1000, 500));
  EXPECT_EQ(presence.depart(author("a", 2), 1000, 500), 1500);
  EXPECT_EQ(presence.expire("ua", 1499).change, Change::none);
  EXPECT_FALSE(presence.empty());
  EXPECT_EQ(presence.expire("ua", 1500).change, Change::leave);
  EXPECT_TRUE(presence.empty());
  EXPECT_EQ(presence.expire("ua", 1600).change, Change::none);
}

TEST(Presence, SaysNothingWhenAUserComesBackWithinItsGrace) {
  Presence presence;
  presence.enter(author("a", 1), std::nullopt, 0);
  presence.depart(author("a", 1), 1000, 500);
  EXPECT_EQ(presence.enter(author("a", 2), std::nullopt, 1200).change, Change::none);
  EXPECT_EQ(presence.expire("ua", 1500).change, Change::none);
  EXPECT_EQ(presence.depart(author("a", 2), 1400, 500), 1900);
  EXPECT_EQ(presence.expire("ua", 1500).change, Change::none) << "the first grace does not end the second";
  EXPECT_EQ(presence.expire("ua", 1900).change, Change::leave);
}

TEST(Presence, TakesALeaveDuringGraceByAnotherConnectionForNothing) {
  Presence presence;
  presence.enter(author("a", 1), std::nullopt, 0);
  presence.depart(author("a", 1), 0, 500);
  EXPECT_EQ(presence.leave(author("a", 2)).change, Change::none);
  EXPECT_EQ(presence.expire("ua", 500).change, Change::leave);
}

TEST(Presence, IgnoresTheEndOfAConnectionThatHadNotEntered) {
  Presence presence;
  EXPECT_FALSE(presence.depart(author("a", 1), 0, 500));
  presence.enter(author("a", 1), std::nullopt, 0);
  EXPECT_FALSE(presence.depart(author("a", 9), 0, 500));
}

TEST(Presence, ListsMembersInTheOrderOfEntering) {
  Presence presence;
  for (const char* name : {"c", "a", "b"}) presence.enter(author(name, 1), std::nullopt, 0);
  presence.leave(author("a", 1));
  EXPECT_EQ(
      presence.members_json(),
      R"([{"user":{"id":"c"},"connections":1,"data":null,"since":0},{"user":{"id":"b"},"connections":1,"data":null,"since":0}])");
}

}  // namespace
}  // namespace tidewire::hub
