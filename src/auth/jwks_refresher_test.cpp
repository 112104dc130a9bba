#include "auth/jwks_refresher.h"

#include <gtest/gtest.h>

#include "auth/test_signer.h"

namespace tidewire::auth {
namespace {

using Demand = JwksRefresher::Demand;

Time at(std::int64_t seconds) { return {.mono_us = seconds * 1'000'000, .unix_ms = 0}; }

JwksRefresher fresh() {
  std::vector<Key> keys = {*Key::from_secret("static", Algorithm::HS256, "secret")};
  return JwksRefresher({}, std::make_shared<const KeyRing>(std::move(keys), JwksState::never_fetched));
}

std::string set_with(const char* kid) {
  static const TestSigner signer = TestSigner::ed25519();
  return R"({"keys":[)" + signer.jwk(std::string(R"("kid":")") + kid + '"') + "]}";
}

TEST(JwksRefresher, FetchesAtOnceAndThenEveryRefresh) {
  JwksRefresher refresher = fresh();
  EXPECT_TRUE(refresher.due(at(-1000)));
  refresher.started(at(0));
  EXPECT_FALSE(refresher.due(at(100)));
  const auto update = refresher.fetched(set_with("a"), at(1));
  EXPECT_TRUE(update.read);
  EXPECT_TRUE(update.changed);
  EXPECT_TRUE(refresher.ring()->knows("a"));
  EXPECT_TRUE(refresher.ring()->knows("static"));
  EXPECT_FALSE(refresher.due(at(900)));
  EXPECT_TRUE(refresher.due(at(901)));
}

TEST(JwksRefresher, UnknownKidFetchesAtMostOncePerMinRefresh) {
  JwksRefresher refresher = fresh();
  EXPECT_EQ(refresher.need_keys(at(0)), Demand::wait);
  refresher.started(at(0));
  EXPECT_EQ(refresher.need_keys(at(0)), Demand::wait);
  refresher.fetched(set_with("a"), at(1));
  EXPECT_EQ(refresher.need_keys(at(4)), Demand::give_up);
  EXPECT_FALSE(refresher.due(at(4)));
  EXPECT_EQ(refresher.need_keys(at(5)), Demand::wait);
  EXPECT_TRUE(refresher.due(at(5)));
  refresher.started(at(5));
  EXPECT_EQ(refresher.need_keys(at(11)), Demand::wait);
  const auto update = refresher.fetched(set_with("b"), at(12));
  EXPECT_TRUE(update.changed);
  EXPECT_FALSE(refresher.ring()->knows("a"));
  EXPECT_TRUE(refresher.ring()->knows("b"));
}

TEST(JwksRefresher, FailuresKeepTheKeysAndBackOff) {
  JwksRefresher refresher = fresh();
  refresher.started(at(0));
  refresher.fetched(set_with("a"), at(0));
  std::vector<std::int64_t> waits_s;
  std::int64_t now_s = 900;
  for (int i = 0; i < 9; ++i) {
    ASSERT_TRUE(refresher.due(at(now_s)));
    refresher.started(at(now_s));
    refresher.failed(at(now_s));
    const std::int64_t next_s = refresher.due_at_us() / 1'000'000;
    waits_s.push_back(next_s - now_s);
    now_s = next_s;
  }
  EXPECT_THAT(waits_s, testing::ElementsAre(5, 10, 20, 40, 80, 160, 300, 300, 300));
  EXPECT_EQ(refresher.failures(), 9u);
  EXPECT_TRUE(refresher.ring()->knows("a"));
  refresher.started(at(now_s));
  refresher.fetched(set_with("a"), at(now_s));
  EXPECT_EQ(refresher.failures(), 0u);
}

TEST(JwksRefresher, ABodyThatIsNoSetIsAFailure) {
  JwksRefresher refresher = fresh();
  refresher.started(at(0));
  const auto update = refresher.fetched("<html>", at(0));
  EXPECT_FALSE(update.read);
  EXPECT_EQ(update.remarks.size(), 1u);
  EXPECT_EQ(refresher.failures(), 1u);
  EXPECT_EQ(refresher.ring()->jwks_state(), JwksState::never_fetched);
  EXPECT_EQ(refresher.retry_after_ms(at(0)), 5000);
  EXPECT_EQ(refresher.retry_after_ms(at(4)), 1000);
}

TEST(JwksRefresher, DemandDuringBackoffStillKeepsMinRefresh) {
  JwksRefresher refresher = fresh();
  for (int i = 0; i < 4; ++i) {
    refresher.started(at(i * 100));
    refresher.failed(at(i * 100));
  }
  EXPECT_FALSE(refresher.due(at(310)));
  EXPECT_EQ(refresher.need_keys(at(304)), Demand::give_up);
  EXPECT_EQ(refresher.need_keys(at(310)), Demand::wait);
  EXPECT_TRUE(refresher.due(at(310)));
}

TEST(JwksRefresher, SaysWhenNothingChanged) {
  JwksRefresher refresher = fresh();
  refresher.started(at(0));
  refresher.fetched(set_with("a"), at(0));
  const auto before = refresher.ring();
  refresher.started(at(900));
  EXPECT_FALSE(refresher.fetched(set_with("a"), at(900)).changed);
  EXPECT_EQ(refresher.ring(), before);
}

TEST(JwksRefresher, AnEmptySetIsASet) {
  JwksRefresher refresher = fresh();
  refresher.started(at(0));
  const auto update = refresher.fetched(R"({"keys":[]})", at(0));
  EXPECT_TRUE(update.read && update.changed);
  EXPECT_EQ(refresher.ring()->jwks_state(), JwksState::fetched);
}

}  // namespace
}  // namespace tidewire::auth
