#include "auth/revocation.h"

#include <gtest/gtest.h>

namespace tidewire::auth {
namespace {

Identity issued(std::optional<std::int64_t> at_ms, std::string user = "7", std::string tenant = "default") {
  Identity identity;
  identity.user_id = std::move(user);
  identity.tenant = std::move(tenant);
  identity.issued_at_ms = at_ms;
  return identity;
}

TEST(RevocationList, RevokesTokensIssuedInOrBeforeThatSecond) {
  RevocationList list;
  list.add({"default", "7", 10'500});
  EXPECT_TRUE(list.revoked(issued(9'000)));
  EXPECT_TRUE(list.revoked(issued(10'000)));
  EXPECT_TRUE(list.revoked(issued(10'999)));
  EXPECT_FALSE(list.revoked(issued(11'000)));
  EXPECT_TRUE(list.revoked(issued(std::nullopt)));
  EXPECT_TRUE(list.revoked(issued(-1)));
}

TEST(RevocationList, ConcernsOneUserOfOneTenant) {
  RevocationList list;
  EXPECT_FALSE(list.revoked(issued(std::nullopt)));
  list.add({"default", "7", 10'500});
  EXPECT_FALSE(list.revoked(issued(1, "8")));
  EXPECT_FALSE(list.revoked(issued(1, "7", "other")));
}

TEST(RevocationList, OnlyMovesForward) {
  RevocationList list;
  list.add({"default", "7", 20'000});
  list.add({"default", "7", 10'000});
  EXPECT_TRUE(list.revoked(issued(15'000)));
}

TEST(RevocationList, HasRoomUpToItsBoundAndForWhomItKnows) {
  RevocationList list(2);
  list.add({"a", "1", 1000});
  EXPECT_TRUE(list.has_room_for("b", "1"));
  list.add({"b", "1", 1000});
  EXPECT_FALSE(list.has_room_for("a", "2"));
  EXPECT_FALSE(list.has_room_for("c", "1"));
  EXPECT_TRUE(list.has_room_for("a", "1"));
}

}  // namespace
}  // namespace tidewire::auth
