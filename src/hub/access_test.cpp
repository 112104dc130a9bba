#include "hub/access.h"

#include <gtest/gtest.h>

#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

using auth::Action;

struct AccessTest : testing::Test {
  std::string verdict(const Caller& caller, Action action, std::string_view channel) {
    const auto ns = admit(namespaces, caller, action, channel);
    return ns ? "yes" : std::string(name_of(ns.error().code));
  }
  Namespaces namespaces{test_namespaces()};
  auth::Identity somebody{.user_id = "a"};
  Caller anonymous, user{.identity = &somebody, .server = false}, server{.identity = nullptr, .server = true};
};

TEST_F(AccessTest, LooksAtTheNameFirstThenTheNamespaceThenTheRules) {
  EXPECT_EQ(verdict(anonymous, Action::publish, "$all"), "forbidden");
  EXPECT_EQ(verdict(server, Action::publish, "$all"), "forbidden");
  EXPECT_EQ(verdict(anonymous, Action::publish, "room:"), "invalid_channel");
  EXPECT_EQ(verdict(anonymous, Action::publish, "rom:1"), "not_found");
  EXPECT_EQ(verdict(anonymous, Action::publish, "room:1"), "unauthorized");
  EXPECT_EQ(verdict(user, Action::publish, "plain"), "yes") << "no colon: the namespace `default`";
}

TEST_F(AccessTest, FollowsTheRulesOfTheNamespace) {
  EXPECT_EQ(verdict(anonymous, Action::subscribe, "open:1"), "yes");
  EXPECT_EQ(verdict(user, Action::subscribe, "room:1"), "yes");
  EXPECT_EQ(verdict(user, Action::subscribe, "server:1"), "yes");
  EXPECT_EQ(verdict(user, Action::publish, "server:1"), "forbidden");
  EXPECT_EQ(verdict(anonymous, Action::publish, "server:1"), "forbidden") << "a token would not help";
  EXPECT_EQ(verdict(server, Action::publish, "server:1"), "yes");
}

TEST_F(AccessTest, LetsGrantsAddRights) {
  somebody.grants = {{"secret:*", static_cast<std::uint8_t>(Action::subscribe)},
                     {"server:a:*", static_cast<std::uint8_t>(Action::publish)}};
  EXPECT_EQ(verdict(user, Action::subscribe, "secret:1"), "yes");
  EXPECT_EQ(verdict(user, Action::history, "secret:1"), "yes") << "comes with subscribe";
  EXPECT_EQ(verdict(user, Action::publish, "secret:1"), "forbidden");
  EXPECT_EQ(verdict(user, Action::publish, "server:a:1"), "yes");
  EXPECT_EQ(verdict(user, Action::publish, "server:b:1"), "forbidden");
}

TEST_F(AccessTest, HasPresenceOnlyWhereItIsOn) {
  EXPECT_EQ(verdict(user, Action::presence, "room:1"), "yes");
  EXPECT_EQ(verdict(user, Action::presence, "tiny:1"), "forbidden");
  EXPECT_EQ(verdict(server, Action::presence, "tiny:1"), "forbidden");
}

TEST(Namespaces, StaysReachableForWhatWasUnderWayWhenAReloadDropsIt) {
  Namespaces namespaces(test_namespaces());
  const Namespace* room = namespaces.find("room");
  namespaces.replace({{.name = "tiny"}});
  EXPECT_EQ(namespaces.find("room"), nullptr);
  EXPECT_EQ(namespaces.find_retired("room"), room);
  EXPECT_NE(namespaces.find("tiny"), nullptr);
}

TEST(Namespaces, SaysWhenARuleThatLetSomebodyInHasChanged) {
  Namespaces namespaces(test_namespaces());
  EXPECT_FALSE(namespaces.replace(test_namespaces()));
  auto list = test_namespaces();
  list[1].history_messages = 7;
  EXPECT_FALSE(namespaces.replace(list));
  list[1].subscribe = Access::server;
  EXPECT_TRUE(namespaces.replace(list));
  list[1].presence = false;
  EXPECT_TRUE(namespaces.replace(list));
  list.pop_back();
  EXPECT_TRUE(namespaces.replace(list));
}

TEST(Namespaces, KeepsOneOutOfReachThatComesBackAsAnotherKind) {
  Namespaces namespaces(test_namespaces());
  namespaces.replace({});
  namespaces.replace({{.name = "room", .kind = Kind::document}, {.name = "tiny"}});
  EXPECT_EQ(namespaces.find("room"), nullptr);
  EXPECT_NE(namespaces.find("tiny"), nullptr);
}

}  // namespace
}  // namespace tidewire::hub
