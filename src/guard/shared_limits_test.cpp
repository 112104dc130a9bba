#include "guard/shared_limits.h"

#include <map>
#include <thread>

#include "guard/limit_table.h"
#include "guard/seeds.h"

namespace tidewire::guard {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

class SharedLimitsTest : public testing::Test {
 protected:
  const LimitKeys keys_{42};
  SharedLimits shared_;

  SharedKeys someone(std::string_view user, std::string_view address) const {
    return {.user = keys_.user("default", user), .address = keys_.address(ip(address))};
  }
  std::int64_t take(const SharedKeys& keys, std::int64_t now_ms, const Limits& limits = {}) {
    return shared_.spend(Spend::take, keys, limits, {}, now_ms);
  }
  int taken_at(const SharedKeys& keys, std::int64_t now_ms, const Limits& limits = {}) {
    int taken = 0;
    while (taken < 1000 && take(keys, now_ms, limits) == 0) ++taken;
    return taken;
  }
};

TEST(LimitKeys, AreApartByKindTenantAndSeed) {
  const LimitKeys keys(1);
  EXPECT_TRUE(keys.user("", ""));
  EXPECT_EQ(keys.user("a", "b"), keys.user("a", "b"));
  EXPECT_NE(keys.user("a", "b"), keys.user("ab", ""));
  EXPECT_NE(keys.user("a", "b"), keys.user("", "ab"));
  EXPECT_NE(keys.user("a", "b"), LimitKeys(2).user("a", "b"));
  const auto bytes = ip("1.2.3.4").bytes();
  EXPECT_NE(keys.user("", {reinterpret_cast<const char*>(bytes.data()), 16}), keys.address(ip("1.2.3.4")));
  EXPECT_NE(keys.address(ip("1.2.3.4")), keys.address(ip("1.2.3.4"), "a"));
  EXPECT_EQ(keys.address(ip("2001:db8::1")), keys.address(ip("2001:db8::2")));
  EXPECT_NE(keys.address(ip("1.2.3.4")), keys.address(ip("1.2.3.5")));
}

TEST_F(SharedLimitsTest, GivesAUserFiveTimesTheBurstHoweverManyAddresses) {
  EXPECT_EQ(taken_at(someone("1", "1.1.1.1"), 0), 50);
  EXPECT_EQ(taken_at(someone("1", "2.2.2.2"), 0), 0);
  EXPECT_EQ(taken_at(someone("2", "1.1.1.1"), 0), 50);
  EXPECT_EQ(take(someone("1", "1.1.1.1"), 0), 120);
  EXPECT_EQ(taken_at(someone("1", "1.1.1.1"), 120), 1);
}

TEST_F(SharedLimitsTest, GivesAnAddressTwentyTimesTheBurstHoweverManyUsers) {
  int taken = 0;
  for (const char* user : {"1", "2", "3", "4", "5", "6"}) taken += taken_at(someone(user, "1.1.1.1"), 0);
  EXPECT_EQ(taken, 200);
  EXPECT_EQ(take(someone("7", "1.1.1.1"), 0), 30);
}

TEST_F(SharedLimitsTest, TakesFromNobodyWhereOneRefuses) {
  for (const char* user : {"1", "2", "3", "4"}) taken_at(someone(user, "1.1.1.1"), 0);
  for (int i = 0; i < 500; ++i) EXPECT_GT(take(someone("5", "1.1.1.1"), 0), 0);
  EXPECT_EQ(taken_at(someone("5", "2.2.2.2"), 0), 50);
}

TEST_F(SharedLimitsTest, AnswersWithTheLongerWait) {
  taken_at(someone("1", "1.1.1.1"), 0);
  for (const char* user : {"2", "3", "4"}) taken_at(someone(user, "1.1.1.1"), 0);
  EXPECT_EQ(take(someone("1", "1.1.1.1"), 0), 120);  // the user's; the address says 30
  EXPECT_EQ(take(someone("9", "1.1.1.1"), 0), 30);
}

TEST_F(SharedLimitsTest, CountsAnAnonymousConnectionByItsAddressAlone) {
  EXPECT_EQ(taken_at({.user = {}, .address = keys_.address(ip("1.1.1.1"))}, 0), 200);
  EXPECT_EQ(taken_at({}, 0), 1000);
}

TEST_F(SharedLimitsTest, TakesNothingWhenLooking) {
  const SharedKeys keys = someone("1", "1.1.1.1");
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(shared_.spend(Spend::look, keys, {}, {}, 0), 0);
  EXPECT_EQ(shared_.entries(), 0u);
  EXPECT_EQ(taken_at(keys, 0), 50);
  EXPECT_EQ(shared_.spend(Spend::look, keys, {}, {}, 0), 120);
}

TEST_F(SharedLimitsTest, ScalesTheUserNotTheAddress) {
  const SharedKeys keys = someone("1", "1.1.1.1");
  int taken = 0;
  while (shared_.spend(Spend::take, keys, {}, LimitFactor::of(1.2), 0) == 0) ++taken;
  EXPECT_EQ(taken, 60);
  EXPECT_EQ(taken_at(someone("2", "1.1.1.1"), 0), 50);
  EXPECT_EQ(taken_at(someone("3", "1.1.1.1"), 0) + taken_at(someone("4", "1.1.1.1"), 0), 90);
}

TEST_F(SharedLimitsTest, WorksWithAConnectionsLimiter) {
  RequestLimiter limiters[6];
  const Limits limits;
  const SharedKeys keys = someone("1", "1.1.1.1");
  int allowed = 0;
  for (int i = 0; i < 12; ++i) {
    for (RequestLimiter& limiter : limiters) {
      const RequestVerdict verdict = limiter.check(
          limits, 0, {}, [&](Spend spend) { return shared_.spend(spend, keys, limits, {}, 0); });
      allowed += verdict.kind == RequestVerdict::Kind::allowed ? 1 : 0;
    }
  }
  EXPECT_EQ(allowed, 50);
}

TEST_F(SharedLimitsTest, CountsConnectionsOfAddressUserAndServer) {
  const Limits limits{.connections = 3, .connections_per_user = 1, .connections_per_address = 2};
  const LimitKey here = keys_.address(ip("1.1.1.1"));
  const LimitKey there = keys_.address(ip("2.2.2.2"));
  const LimitKey user = keys_.user("default", "1");
  EXPECT_EQ(shared_.admit_connection(here, {}, limits, 0), Admission::admitted);
  EXPECT_EQ(shared_.admit_connection(here, {}, limits, 0), Admission::admitted);
  EXPECT_EQ(shared_.admit_connection(here, {}, limits, 0), Admission::address_full);
  EXPECT_EQ(shared_.connections(), 2);
  EXPECT_EQ(shared_.admit_connection(there, {}, limits, 0), Admission::admitted);
  EXPECT_EQ(shared_.admit_connection(there, {}, limits, 0), Admission::server_full);
  EXPECT_EQ(shared_.admit_user(user, limits, 0), Admission::admitted);
  EXPECT_EQ(shared_.admit_user(user, limits, 0), Admission::user_full);
  EXPECT_EQ(shared_.connections_of(here), 2);
  EXPECT_EQ(shared_.connections_of(user), 1);

  shared_.release_connection(here, {});
  shared_.release_user(user);
  EXPECT_EQ(shared_.admit_connection(here, {}, limits, 0), Admission::admitted);
  EXPECT_EQ(shared_.admit_user(user, limits, 0), Admission::admitted);
}

TEST_F(SharedLimitsTest, CountsATenantsConnectionsApart) {
  const Limits small{.connections = 10, .tenant_connections = 2};
  const Limits other{.connections = 10, .tenant_connections = 3};
  const LimitKey here = keys_.address(ip("1.1.1.1"));
  const LimitKey acme = keys_.tenant("acme"), zeta = keys_.tenant("zeta");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(shared_.admit_connection(here, zeta, other, 0), Admission::admitted);
  EXPECT_EQ(shared_.admit_connection(here, zeta, other, 0), Admission::tenant_full);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(shared_.admit_connection(here, acme, small, 0), Admission::admitted);
  EXPECT_EQ(shared_.admit_connection(here, acme, small, 0), Admission::tenant_full);
  EXPECT_EQ(shared_.connections(), 5);
  shared_.release_connection(here, acme);
  EXPECT_EQ(shared_.admit_connection(here, acme, small, 0), Admission::admitted);
  // A refusal by the address takes nothing from the tenant.
  const Limits narrow{.connections = 10, .tenant_connections = 9, .connections_per_address = 5};
  EXPECT_EQ(shared_.admit_connection(here, acme, narrow, 0), Admission::address_full);
  EXPECT_EQ(shared_.connections_of(acme), 2);
}

TEST_F(SharedLimitsTest, HasNoConnectionLimitAtZero) {
  const LimitKey here = keys_.address(ip("1.1.1.1"));
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(shared_.admit_connection(here, {}, {}, 0), Admission::admitted);
  EXPECT_EQ(shared_.connections(), 10'000);
  for (int i = 0; i < 10'000; ++i) shared_.release_connection(here, {});
  EXPECT_EQ(shared_.connections(), 0);
}

TEST_F(SharedLimitsTest, ForgetsWhoHasAFullBucketAndNoConnection) {
  const LimitKey stays = keys_.address(ip("9.9.9.9"));
  shared_.admit_connection(stays, {}, {}, 0);
  for (int i = 0; i < 5'000; ++i) take({.user = keys_.user("default", std::to_string(i)), .address = {}}, 0);
  EXPECT_EQ(shared_.entries(), 5'001u);
  for (int i = 0; i < 64; ++i) shared_.sweep(119);
  EXPECT_EQ(shared_.entries(), 5'001u);
  for (int i = 0; i < 64; ++i) shared_.sweep(120);
  EXPECT_EQ(shared_.entries(), 1u);
  EXPECT_EQ(shared_.connections_of(stays), 1);
}

TEST(SharedLimits, StaysWithinItsMemory) {
  const LimitKeys keys(7);
  SharedLimits shared(6'400);
  for (int i = 0; i < 100'000; ++i) {
    shared.spend(Spend::take, {.user = keys.user("default", std::to_string(i)), .address = {}}, {}, {}, 0);
  }
  EXPECT_LE(shared.entries(), 6'400u + 64u);
}

TEST(SharedLimits, ARequestWithoutAConnectionPassesInADryRunAndIsNoted) {
  const LimitKeys keys(7);
  SharedLimits shared;
  const SharedLimits::Alone ann{
      .keys = {.user = keys.user("acme", "ann"), .address = {}}, .tenant = "acme", .user = "ann"};
  Limits limits{.messages_per_minute = 6, .burst = 1, .adaptive = false};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(shared.spend_alone(ann, limits, 0), 0);
  EXPECT_GT(shared.spend_alone(ann, limits, 0), 0);
  EXPECT_EQ(shared.dry_run().total(), 0u);
  limits.dry_run = true;
  EXPECT_EQ(shared.spend_alone(ann, limits, 0), 0);
  const DryRun::Report report = shared.dry_run().take();
  EXPECT_EQ(report.requests, 1u);
  EXPECT_EQ(report.tenant + "/" + report.user, "acme/ann");
  // It was judged all the same.
  EXPECT_LT(shared.records().factor(ann.keys.user, 0).permille(), 1000);
}

TEST(DryRun, TellsHowManyAndWhoseWasTheFirst) {
  DryRun dry;
  EXPECT_EQ(dry.take().requests, 0u);
  dry.note("default", "ann");
  dry.note("acme", "bob");
  const DryRun::Report report = dry.take();
  EXPECT_EQ(report.requests, 2u);
  EXPECT_EQ(report.tenant + "/" + report.user, "default/ann");
  EXPECT_EQ(dry.take().requests, 0u);
  dry.note("acme", "");
  EXPECT_EQ(dry.take().tenant, "acme");
  EXPECT_EQ(dry.total(), 3u);
}

TEST(LimitTable, AgreesWithAMapOfBuckets) {
  for_seeds(100, [](Dice& dice) {
    LimitTable table(1'000'000);
    struct Plain {
      TokenBucket bucket;
      std::int64_t connections = 0;
    };
    std::map<std::int64_t, Plain> model;
    const LimitKeys keys(3);
    const Rate rate = Rate::per_minute(dice.roll(1, 1000), dice.roll(1, 10));
    std::int64_t now_ms = 0;
    for (int i = 0; i < 3'000; ++i) {
      now_ms += dice.roll(0, dice.one_in(50) ? 60'000 : 100);
      const std::int64_t n = dice.roll(1, 30);
      const LimitKey key = keys.user("", std::to_string(n));
      Plain& plain = model[n];
      switch (dice.roll(0, 5)) {
        case 0: {
          const std::int64_t most = dice.roll(0, 3);
          const bool fits = most == 0 || plain.connections < most;
          ASSERT_EQ(table.add_connection(key, most, now_ms), fits);
          plain.connections += fits ? 1 : 0;
          break;
        }
        case 1:
          if (plain.connections > 0) {
            table.remove_connection(key);
            --plain.connections;
          }
          break;
        case 2:
          table.sweep(now_ms);
          break;
        default:
          ASSERT_EQ(table.wait_ms(key, rate, now_ms), plain.bucket.retry_after_ms(now_ms, rate));
          if (plain.bucket.take(now_ms, rate)) table.take(key, rate, now_ms);
      }
      ASSERT_EQ(table.connections(key), plain.connections);
    }
  });
}

TEST(SharedLimitsThreads, StayExact) {
  const LimitKeys keys(11);
  SharedLimits shared;
  const Limits limits{.connections_per_user = 7};
  constexpr int kUsers = 20;
  std::atomic<int> taken{0};
  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 60; ++i) {
        for (int u = 0; u < kUsers; ++u) {
          // Five users to an address, and threads walk in opposite directions.
          const int n = t % 2 == 0 ? u : kUsers - 1 - u;
          const std::uint8_t bytes[4] = {1, 1, 1, static_cast<std::uint8_t>(n / 5)};
          const LimitKey user = keys.user("default", std::to_string(n));
          const LimitKey address = keys.address(IpAddress::from_v4(bytes));
          if (shared.spend(Spend::take, {user, address}, limits, {}, 0) == 0) ++taken;
          if (shared.admit_user(user, limits, 0) == Admission::admitted) ++admitted;
          if (shared.admit_connection(address, {}, limits, 0) == Admission::admitted) {
            shared.release_connection(address, {});
          }
          if (i % 16 == 0) shared.sweep(0);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, 4 * 200);  // four addresses, used up: 5 users have 250 each
  EXPECT_EQ(admitted, kUsers * 7);
  EXPECT_EQ(shared.connections(), 0);
}

}  // namespace
}  // namespace tidewire::guard
