#include "directory/postgres_source.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "directory/testing_postgres.h"

namespace tidewire::directory {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using What = Outcome::What;

constexpr const char* kQuery = "select 1 from users where id::text = $1";

// One database for all tests: it takes a second to start.
class PostgresSourceTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    postgres_ = std::make_unique<TestingPostgres>();
    postgres_->sql(
        "create table users (id int primary key, tenant text not null);"
        "insert into users select n, case when n > 500 then 'acme' else 'default' end "
        "from generate_series(1, 1000) n");
  }
  static void TearDownTestSuite() { postgres_.reset(); }

  PostgresSource source(std::string query = kQuery) {
    return PostgresSource(loop_, {.url = postgres_->url(), .query = std::move(query), .timeout_ms = 20'000});
  }

  std::vector<Outcome> ask(PostgresSource& source, const std::vector<std::string>& users,
                           const std::string& tenant = "default") {
    std::vector<Outcome> outcomes(users.size());
    std::size_t left = users.size();
    for (std::size_t i = 0; i < users.size(); ++i)
      source.ask({.tenant = tenant, .user = users[i]}, [&, i](Outcome outcome) {
        outcomes[i] = std::move(outcome);
        --left;
      });
    EXPECT_EQ(left, users.size()) << "no answer comes from within ask()";
    while (left > 0) loop_.turn(1000);
    return outcomes;
  }

  static std::unique_ptr<TestingPostgres> postgres_;
  net::Loop loop_;
};
std::unique_ptr<TestingPostgres> PostgresSourceTest::postgres_;

TEST_F(PostgresSourceTest, TellsWhoIsThereAndWhoIsNot) {
  PostgresSource database = source();
  const auto outcomes = ask(database, {"1", "0", "1000", "1001", "alice", "' or 1=1 --"});
  EXPECT_EQ(outcomes[0].what, What::exists);
  EXPECT_EQ(outcomes[1].what, What::absent);
  EXPECT_EQ(outcomes[2].what, What::exists);
  EXPECT_EQ(outcomes[3].what, What::absent);
  EXPECT_EQ(outcomes[4].what, What::absent);
  EXPECT_EQ(outcomes[5].what, What::absent);
}

TEST_F(PostgresSourceTest, AnswersManyQuestionsOfOneTurnInOrder) {
  PostgresSource database = source();
  std::vector<std::string> users;
  for (int n = 0; n < 2000; ++n) users.push_back(std::to_string(n));
  const auto outcomes = ask(database, users);
  for (int n = 0; n < 2000; ++n)
    EXPECT_EQ(outcomes[static_cast<std::size_t>(n)].what, n >= 1 && n <= 1000 ? What::exists : What::absent)
        << n;
}

TEST_F(PostgresSourceTest, AnIdThatTheColumnCannotHoldNamesNobody) {
  PostgresSource database = source("select 1 from users where id = $1::int");
  const auto outcomes = ask(database, {"7", "alice", "99999999999999", "8"});
  EXPECT_EQ(outcomes[0].what, What::exists);
  EXPECT_EQ(outcomes[1].what, What::absent);
  EXPECT_EQ(outcomes[2].what, What::absent);
  EXPECT_EQ(outcomes[3].what, What::exists);
}

// Bad data in any row must not turn everybody away.
TEST_F(PostgresSourceTest, ADataExceptionOfARowIsAFailureAndNoAbsence) {
  postgres_->sql(
      "create table loose (id text, n int); insert into loose values ('1', 1), ('2', 0), ('n/a', 1)");
  PostgresSource cast = source("select 1 from loose where id::bigint = $1::bigint");
  const auto cast_outcomes = ask(cast, {"1", "alice", "2"});
  EXPECT_EQ(cast_outcomes[0].what, What::failed);
  EXPECT_THAT(cast_outcomes[0].reason, HasSubstr("n/a"));
  EXPECT_EQ(cast_outcomes[1].what, What::absent) << "its own conversion comes first";
  EXPECT_EQ(cast_outcomes[2].what, What::failed);
  PostgresSource divided = source("select 1 from loose where id = $1 and 10 / n > 0");
  const auto outcomes = ask(divided, {"1", "2", "3"});
  EXPECT_EQ(outcomes[0].what, What::exists);
  EXPECT_EQ(outcomes[1].what, What::failed);
  EXPECT_THAT(outcomes[1].reason, HasSubstr("division by zero"));
  EXPECT_TRUE(outcomes[1].of_this_user);
  EXPECT_EQ(outcomes[2].what, What::absent);
  postgres_->sql("drop table loose");
}

TEST_F(PostgresSourceTest, WhatAParameterCanHoldIsTheDatabasesToSay) {
  for (const auto& [type, good, bad] :
       {std::tuple{"smallint", "7", "70000"}, std::tuple{"bigint", "7", "7.5"},
        std::tuple{"uuid", "4b1c3b6e-8d8e-4f57-9d2c-0d6a5a3f1c2e", "4b1c3b6e"},
        std::tuple{"numeric", "1e3", "x"}, std::tuple{"date", "2026-02-28", "2026-02-30"}}) {
    PostgresSource database = source(fmt::format("select 1 where $1::{} is not null", type));
    const auto outcomes = ask(database, {good, bad});
    EXPECT_EQ(outcomes[0].what, What::exists) << type;
    EXPECT_EQ(outcomes[1].what, What::absent) << type;
  }
  PostgresSource tenant = source("select 1 from users where id = $1::int and $2::int > 0");
  EXPECT_EQ(ask(tenant, {"7"}, "12")[0].what, What::exists);
  EXPECT_EQ(ask(tenant, {"7"}, "acme")[0].what, What::absent);
}

TEST_F(PostgresSourceTest, AQueryWithoutRowsIsNamedAsTheReason) {
  PostgresSource database = source("delete from users where id = $1::int and false");
  const auto outcomes = ask(database, {"7", "alice"});
  EXPECT_EQ(outcomes[0].what, What::failed);
  EXPECT_THAT(outcomes[0].reason, HasSubstr("does not ask for rows"));
  PostgresSource empty = source("-- $1");
  EXPECT_THAT(ask(empty, {"7"})[0].reason, Not(IsEmpty()));
}

TEST_F(PostgresSourceTest, HandsInTheTenantWhereTheQueryNamesIt) {
  PostgresSource database = source("select 1 from users where id::text = $1 and tenant = $2");
  EXPECT_EQ(ask(database, {"7"}, "default")[0].what, What::exists);
  EXPECT_EQ(ask(database, {"7"}, "acme")[0].what, What::absent);
  EXPECT_EQ(ask(database, {"507"}, "acme")[0].what, What::exists);
}

TEST_F(PostgresSourceTest, ADollarTwoInALiteralOrCommentIsNoTenant) {
  for (const char* query : {"select 1 from users where id::text = $1 and '$2' <> ''",
                            "select 1 from users where id::text = $1 -- and tenant = $2",
                            "select 1 from users where id = $1::int /* $2 */"}) {
    PostgresSource database = source(query);
    for (int round = 0; round < 2; ++round) {
      const auto outcomes = ask(database, {"7", "8675309", "7"});
      EXPECT_EQ(outcomes[0].what, What::exists) << query << ": " << outcomes[0].reason;
      EXPECT_EQ(outcomes[1].what, What::absent) << query;
      EXPECT_EQ(outcomes[2].what, What::exists) << query;
    }
  }
  PostgresSource other = source("select 1 from users where id::text = $1 and tenant = $2 and $3");
  for (int round = 0; round < 2; ++round) EXPECT_EQ(ask(other, {"7"})[0].what, What::failed);
}

TEST_F(PostgresSourceTest, AQueryThatFailsSaysWhyAndBreaksNothing) {
  PostgresSource database = source("select 1 from no_such_table where id = $1");
  const auto outcomes = ask(database, {"1", "2"});
  for (const Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome.what, What::failed);
    EXPECT_THAT(outcome.reason, HasSubstr("no_such_table"));
    EXPECT_FALSE(outcome.of_this_user);
  }
  postgres_->sql("create table no_such_table (id text); insert into no_such_table values ('1')");
  EXPECT_EQ(ask(database, {"1"})[0].what, What::exists);
  postgres_->sql("drop table no_such_table");
}

TEST_F(PostgresSourceTest, ConnectsAgainWhenTheDatabaseHasRestarted) {
  PostgresSource database = source();
  EXPECT_EQ(ask(database, {"1"})[0].what, What::exists);
  postgres_->stop();
  EXPECT_EQ(ask(database, {"1"})[0].what, What::failed);
  EXPECT_THAT(ask(database, {"1"})[0].reason, Not(IsEmpty()));
  postgres_->start();
  EXPECT_EQ(ask(database, {"1"})[0].what, What::exists);
}

TEST_F(PostgresSourceTest, AsksOnceMoreWhatWasUnderWayWhenAConnectionBroke) {
  PostgresSource database = source();
  EXPECT_EQ(ask(database, {"1"})[0].what, What::exists);
  // The question is written to a connection whose other side is gone already.
  postgres_->sql(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tidewire'");
  const auto outcomes = ask(database, {"1", "0"});
  EXPECT_EQ(outcomes[0].what, What::exists);
  EXPECT_EQ(outcomes[1].what, What::absent);
}

TEST_F(PostgresSourceTest, GivesUpOnAnAnswerThatDoesNotCome) {
  PostgresSource database(loop_,
                          {.url = postgres_->url(), .query = "select pg_sleep(60), $1", .timeout_ms = 200});
  const auto outcomes = ask(database, {"1", "2"});
  EXPECT_EQ(outcomes[0].what, What::failed);
  EXPECT_THAT(outcomes[1].reason, HasSubstr("time limit"));
}

TEST_F(PostgresSourceTest, CanBeDestroyedWithQuestionsUnderWay) {
  bool answered = false;
  {
    PostgresSource database = source();
    database.ask({.tenant = "default", .user = "1"}, [&](const Outcome&) { answered = true; });
  }
  loop_.turn(0);
  EXPECT_FALSE(answered);
}

TEST(PostgresUrl, IsReadWithoutBeingRepeated) {
  EXPECT_TRUE(PostgresSource::check_url("postgres://u:p@db.example:5432/app?sslmode=require"));
  EXPECT_TRUE(PostgresSource::check_url("postgresql:///app"));
  EXPECT_TRUE(PostgresSource::check_url("postgres://a:5432,b,c:1/app"));
  for (const char* url :
       {"postgres://h:0/a", "postgres://h:65536/a", "postgres://h:x/a", "postgres://a:5432,b:-1/a"})
    EXPECT_FALSE(PostgresSource::check_url(url)) << url;
  const auto bad = PostgresSource::check_url("postgres://u:hunter2@[db/app");
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error(), Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace tidewire::directory
