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

TEST(Presence, KeepsTenThousandMembersInTheirOrder) {
  constexpr int kMembers = 10'000;
  Presence presence;
  for (int i = 0; i < kMembers; ++i)
    EXPECT_EQ(presence.enter(author(std::to_string(i), 1), "1", 0).change, Change::enter);
  for (int i = 0; i < kMembers; i += 2)
    EXPECT_EQ(presence.leave(author(std::to_string(i), 1)).change, Change::leave);
  for (int i = 1; i < kMembers; i += 4) presence.depart(author(std::to_string(i), 1), 0, 10);
  for (int i = 1; i < kMembers; i += 4)
    EXPECT_EQ(presence.expire("u" + std::to_string(i), 10).change, Change::leave);
  EXPECT_EQ(presence.enter(author("0", 2), std::nullopt, 5).change, Change::enter);

  std::string expected = "[";
  for (int i = 3; i < kMembers; i += 4)
    expected += R"({"user":{"id":")" + std::to_string(i) + R"("},"connections":1,"data":1,"since":0},)";
  expected += R"({"user":{"id":"0"},"connections":1,"data":null,"since":5}])";
  EXPECT_EQ(presence.members_json(), expected);
}

TEST(Presence, BoundsWhatAllMembersSayOfThemselves) {
  Presence presence;
  const std::string half(Presence::kDataBytesMax / 2, '1');
  EXPECT_FALSE(presence.fits(author("a", 1), half + half + '1'));
  for (const char* name : {"a", "b"}) {
    EXPECT_TRUE(presence.fits(author(name, 1), half));
    presence.enter(author(name, 1), half, 0);
  }
  EXPECT_FALSE(presence.fits(author("c", 1), "1"));
  EXPECT_TRUE(presence.fits(author("c", 1), std::nullopt)) << "anybody may enter";
  EXPECT_FALSE(presence.fits(author("b", 1), half + '1'));
  EXPECT_TRUE(presence.fits(author("b", 1), half));
  presence.update(author("b", 1), "12");
  EXPECT_TRUE(presence.fits(author("c", 1), half.substr(2)));
  EXPECT_FALSE(presence.fits(author("c", 1), half.substr(1)));
  presence.leave(author("a", 1));
  EXPECT_TRUE(presence.fits(author("c", 1), half + half.substr(2)));
}

TEST(Presence, ExpelsWhoIsThereByAnotherRightThanItsOwn) {
  Presence presence;
  for (const char* name : {"a", "b", "c"}) presence.enter(author(name, 1), "1", 0, false);
  presence.enter(author("b", 2), std::nullopt, 0, true);
  const auto gone = presence.expel([](std::string_view user) { return user == "c"; });
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].member, R"({"user":{"id":"a"},"connections":0,"data":1,"since":0})");
  EXPECT_EQ(
      presence.members_json(),
      R"([{"user":{"id":"b"},"connections":1,"data":1,"since":0},{"user":{"id":"c"},"connections":1,"data":1,"since":0}])");
}

}  // namespace
}  // namespace tidewire::hub
