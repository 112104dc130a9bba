#include "hub/judge.h"

#include <gtest/gtest.h>

#include <set>

#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

class JudgeTest : public testing::Test {
 protected:
  std::string verdict(const Awaited& awaited = {}, AskDirectory ask = AskDirectory::if_unknown,
                      std::string_view token = {}) {
    const std::string good = world_.token("ada", 3'600'000);
    const auto judged = judge_token(world_.tenants[0], &users_, keys_, token.empty() ? good : token,
                                    world_.now, awaited, ask);
    if (judged) return "ok";
    if (judged.error().wait == Wait::user) return "ask " + std::string(judged.error().identity->user_id);
    return judged.error().wait == Wait::keys ? "keys" : std::string(name_of(judged.error().error.code));
  }
  Awaited told(guard::UserState state, const char* user = "ada") {
    return {.keys = true, .user = Awaited::User{.key = keys_.user("default", user), .state = state}};
  }

  TestShards world_;
  guard::LimitKeys keys_{3};
  guard::KnownUsers users_{guard::KnownUsersOptions{}};
};

TEST_F(JudgeTest, AsksTheDirectoryForAUserWhoIsNotKnown) {
  EXPECT_EQ(verdict(), "ask ada");
  users_.put(keys_.user("default", "ada"), guard::UserState::exists, world_.now.mono_ms());
  EXPECT_EQ(verdict(), "ok");
  users_.put(keys_.user("default", "ada"), guard::UserState::absent, world_.now.mono_ms());
  EXPECT_EQ(verdict(), "user_not_found");
}

TEST_F(JudgeTest, TakesTheDirectorysAnswerAsItComes) {
  EXPECT_EQ(verdict(told(guard::UserState::exists)), "ok");
  EXPECT_EQ(verdict(told(guard::UserState::absent)), "user_not_found");
  EXPECT_EQ(verdict(told(guard::UserState::unavailable)), "unavailable");
  EXPECT_EQ(verdict(told(guard::UserState::exists, "bob")), "ask ada") << "another's answer is no answer";
}

TEST_F(JudgeTest, SaysWhenTheDirectoryIsAskedAgain) {
  const auto wait_ms = [&] {
    return judge_token(world_.tenants[0], &users_, keys_, world_.token("ada", 3'600'000), world_.now,
                       told(guard::UserState::unavailable))
        .error()
        .error.retry_after_ms;
  };
  const std::int64_t now_ms = world_.now.mono_ms();
  EXPECT_EQ(wait_ms(), kRetryAfterMs) << "nobody knows";
  for (const auto& [until_ms, told_ms] : std::initializer_list<std::pair<std::int64_t, std::int64_t>>{
           {now_ms + 17, 17}, {now_ms, 1}, {now_ms - 5, 1}, {now_ms + 3'600'000, 60'000}}) {
    users_.set_away_until(until_ms);
    EXPECT_EQ(wait_ms(), told_ms);
  }
  users_.set_away_until(0);
  EXPECT_EQ(wait_ms(), kRetryAfterMs);
  EXPECT_EQ(directory_unavailable(nullptr, world_.now).retry_after_ms, kRetryAfterMs);
}

TEST_F(JudgeTest, AsksAnewWhereThatIsWanted) {
  users_.put(keys_.user("default", "ada"), guard::UserState::exists, world_.now.mono_ms());
  EXPECT_EQ(verdict({}, AskDirectory::always), "ask ada");
  EXPECT_EQ(verdict(told(guard::UserState::absent), AskDirectory::always), "user_not_found");
}

TEST_F(JudgeTest, AsksNobodyAboutABadToken) {
  EXPECT_EQ(verdict({}, AskDirectory::if_unknown, "a.b.c"), "token_malformed");
}

TEST_F(JudgeTest, EveryUserExistsWhereThereIsNoDirectory) {
  EXPECT_TRUE(judge_token(world_.tenants[0], nullptr, keys_, world_.token("ada", 3'600'000), world_.now, {}));
}

TEST(UserGone, EndsEveryConnectionOfTheUserAndNoOther) {
  TestShards shards;
  const auto first = shards.open(TestShards::user("ada"));
  const auto second = shards.open(TestShards::user("ada"));
  const auto other = shards.open(TestShards::user("bob"));
  shards.sessions().user_gone(0, "ada");
  for (const auto& peer : {first, second}) {
    EXPECT_EQ(shards.at(peer).closed, "1008 user_not_found");
    EXPECT_NE(shards.at(peer).sent.back().find(R"("type":"auth_error","code":"user_not_found")"),
              std::string::npos);
  }
  EXPECT_EQ(shards.at(other).closed, "");
}

TEST(NextUsers, NamesEveryUserInTurnAndOnceARound) {
  TestShards shards;
  EXPECT_TRUE(shards.sessions().next_users(5).empty());
  shards.open(TestShards::user("ada"));
  shards.open(TestShards::user("ada"));
  const auto gone = shards.open(TestShards::user("bob"));
  shards.open(TestShards::user("eve"));
  shards.open(nullptr);
  shards.close(gone);
  std::multiset<std::string> seen;
  for (int i = 0; i < 4; ++i)
    for (const auto& [tenant, user] : shards.sessions().next_users(1)) seen.insert(user);
  EXPECT_EQ(seen, (std::multiset<std::string>{"ada", "ada", "eve", "eve"}));
}

}  // namespace
}  // namespace tidewire::hub
