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
  ASSERT_TRUE(list.add({"default", "7", 10'500}));
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
  ASSERT_TRUE(list.add({"default", "7", 10'500}));
  EXPECT_FALSE(list.revoked(issued(1, "8")));
  EXPECT_FALSE(list.revoked(issued(1, "7", "other")));
}

TEST(RevocationList, OnlyMovesForward) {
  RevocationList list;
  ASSERT_TRUE(list.add({"default", "7", 20'000}));
  ASSERT_TRUE(list.add({"default", "7", 10'000}));
  EXPECT_TRUE(list.revoked(issued(15'000)));
  EXPECT_EQ(list.size(), 1u);
}

TEST(RevocationList, RefusesToGrowPastItsBoundButStillRenews) {
  RevocationList list(2);
  ASSERT_TRUE(list.add({"a", "1", 1000}));
  ASSERT_TRUE(list.add({"b", "1", 1000}));
  const Result<void> third = list.add({"a", "2", 1000});
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(list.add({"a", "1", 9000}));
  EXPECT_EQ(list.size(), 2u);
}

TEST(RevocationList, ExportsWhatAnotherImports) {
  RevocationList list;
  ASSERT_TRUE(list.add({"a", "1", 1000}));
  ASSERT_TRUE(list.add({"b", "1", 5000}));
  RevocationList copy;
  for (const Revocation& entry : list.entries()) ASSERT_TRUE(copy.add(entry));
  EXPECT_THAT(copy.entries(),
              testing::UnorderedElementsAre(Revocation{"a", "1", 1000}, Revocation{"b", "1", 5000}));
}

TEST(RevocationList, ForgetsWhatIsTooOldToMatter) {
  RevocationList list;
  ASSERT_TRUE(list.add({"a", "1", 1000}));
  ASSERT_TRUE(list.add({"b", "1", 5000}));
  list.forget_before(5000);
  EXPECT_THAT(list.entries(), testing::ElementsAre(Revocation{"b", "1", 5000}));
  EXPECT_EQ(list.size(), 1u);
}

}  // namespace
}  // namespace tidewire::auth
