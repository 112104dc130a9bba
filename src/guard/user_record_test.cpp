#include "guard/user_record.h"

#include "guard/limits.h"
#include "guard/request_limiter.h"
#include "guard/seeds.h"
#include "guard/user_records.h"

namespace tidewire::guard {
namespace {

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kStart = 1'000'000;

void behave(UserRecord& record, std::int64_t from_ms, std::int64_t until_ms) {
  for (std::int64_t now_ms = from_ms; now_ms <= until_ms; now_ms += 1'000) record.good(now_ms);
}

TEST(UserRecord, KnowsNothingAtFirst) { EXPECT_EQ(UserRecord().factor(kStart).permille(), 1000); }

TEST(UserRecord, GivesAFifthMoreForGoodBehaviour) {
  UserRecord record;
  behave(record, kStart, kStart + 10 * kMinute);
  EXPECT_NEAR(static_cast<double>(record.factor(kStart + 10 * kMinute).permille()), 1126, 5);
  behave(record, kStart, kStart + 120 * kMinute);
  EXPECT_EQ(record.factor(kStart + 120 * kMinute).permille(), 1200);
}

TEST(UserRecord, LearnsByTimeNotByTheNumberOfRequests) {
  UserRecord slow, fast;
  behave(slow, kStart, kStart + 10 * kMinute);
  for (std::int64_t now_ms = kStart; now_ms <= kStart + 10 * kMinute; now_ms += 10) fast.good(now_ms);
  EXPECT_NEAR(slow.standing(kStart + 10 * kMinute), fast.standing(kStart + 10 * kMinute), 0.02);
}

TEST(UserRecord, CountsSilenceNotAsGoodBehaviour) {
  UserRecord record;
  for (int i = 0; i < 100; ++i) record.good(kStart + i * 10 * kMinute);
  EXPECT_NEAR(record.standing(kStart + 1000 * kMinute), 0, 0.01);
}

TEST(UserRecord, TakesUpToHalfForBadBehaviourAndMoreForWhatIsWorse) {
  const auto after = [](Offence offence) {
    UserRecord record;
    record.bad(offence, kStart);
    return record.factor(kStart).permille();
  };
  EXPECT_LT(after(Offence::malformed), 1000);
  EXPECT_LT(after(Offence::refused), after(Offence::malformed));
  EXPECT_LT(after(Offence::penalty), after(Offence::refused));
  UserRecord record;
  for (int i = 0; i < 100; ++i) record.bad(Offence::penalty, kStart);
  EXPECT_EQ(record.factor(kStart).permille(), 500);
}

TEST(UserRecord, ForgetsHalfInAnHour) {
  UserRecord record;
  for (int i = 0; i < 100; ++i) record.bad(Offence::penalty, kStart);
  EXPECT_NEAR(record.standing(kStart + UserRecord::kHalfLife_ms), -0.5, 0.01);
  EXPECT_NEAR(record.standing(kStart + 10 * UserRecord::kHalfLife_ms), 0, 0.01);
}

TEST(UserRecord, RecoversFasterByGoodBehaviourThanByWaiting) {
  UserRecord record;
  record.bad(Offence::penalty, kStart);
  UserRecord waiting = record;
  behave(record, kStart, kStart + 10 * kMinute);
  EXPECT_GT(record.standing(kStart + 10 * kMinute), waiting.standing(kStart + 10 * kMinute) + 0.3);
}

TEST(UserRecord, StaysInItsBoundsWhateverHappens) {
  for_seeds(200, [](Dice& dice) {
    UserRecord record;
    std::int64_t now_ms = dice.roll(0, 1'000'000'000);
    for (int i = 0; i < 500; ++i) {
      now_ms += dice.one_in(20) ? dice.roll(-60'000, 100'000'000) : dice.roll(0, 5'000);
      if (dice.one_in(3))
        record.bad(static_cast<Offence>(dice.roll(0, 4)), now_ms);
      else
        record.good(now_ms);
      ASSERT_GE(record.standing(now_ms), -1);
      ASSERT_LE(record.standing(now_ms), 1);
      ASSERT_GE(record.factor(now_ms).permille(), 500);
      ASSERT_LE(record.factor(now_ms).permille(), 1200);
      ASSERT_GT(record.idle_at_ms(), 0);
    }
    ASSERT_NEAR(record.standing(record.idle_at_ms() + 2'000), 0, 0.021);
  });
}

const LimitKeys kKeys(1);

TEST(UserRecords, AreOneForAllConnectionsOfAUser) {
  UserRecords records;
  const LimitKey ann = kKeys.user("default", "ann"), bob = kKeys.user("default", "bob");
  AdaptiveLimit one, other;
  one.bad(records, ann, Offence::penalty, kStart);
  EXPECT_LT(other.factor(records, ann, true, kStart).permille(), 1000);
  EXPECT_EQ(AdaptiveLimit().factor(records, bob, true, kStart).permille(), 1000);
  EXPECT_EQ(AdaptiveLimit().factor(records, {}, true, kStart).permille(), 1000);
  EXPECT_EQ(one.factor(records, ann, false, kStart).permille(), 1000);
}

TEST(UserRecords, LearnFromAConnectionThatIsActive) {
  UserRecords records;
  const LimitKey ann = kKeys.user("default", "ann");
  AdaptiveLimit limit;
  for (std::int64_t now_ms = kStart; now_ms < kStart + 30 * kMinute; now_ms += 600)
    limit.factor(records, ann, true, now_ms);
  EXPECT_GT(limit.factor(records, ann, true, kStart + 30 * kMinute).permille(), 1150);
}

TEST(UserRecords, AreNotMadeForAConnectionThatAsksOnceAndListens) {
  UserRecords records;
  const LimitKey ann = kKeys.user("default", "ann");
  AdaptiveLimit limit;
  for (int i = 0; i < 20; ++i) limit.factor(records, ann, true, kStart + i);
  EXPECT_EQ(records.entries(), 0u);
  limit.factor(records, ann, true, kStart + kMinute);
  EXPECT_EQ(records.entries(), 1u);
}

TEST(UserRecords, ForgetWhoHasFadedAndStayWithinTheirMemory) {
  UserRecords records(6'400);
  for (int i = 0; i < 100'000; ++i)
    records.bad(kKeys.user("default", std::to_string(i)), Offence::refused, kStart);
  EXPECT_LE(records.entries(), 6'400u + 64u);
  for (int i = 0; i < 64; ++i) records.sweep(kStart + 24 * 60 * kMinute);
  EXPECT_EQ(records.entries(), 0u);
}

// Over no window does a connection get more than the ceiling of its factor allows, however the record
// moves (protocol §6).
TEST(UserRecords, NeverLetTheCeilingBeExceededOverAnyWindow) {
  for_seeds(100, [](Dice& dice) {
    const Limits limits{
        .messages_per_minute = dice.roll(1, 2'000), .burst = dice.roll(1, 50), .penalty_ms = 0};
    UserRecords records;
    const LimitKey ann = kKeys.user("default", "ann");
    AdaptiveLimit adaptive;
    RequestLimiter limiter;
    std::vector<std::int64_t> passed_ms;
    std::int64_t now_ms = kStart;
    for (int i = 0; i < 1'500; ++i) {
      now_ms += dice.one_in(50) ? dice.roll(0, 600'000) : dice.roll(0, 200);
      const LimitFactor factor = adaptive.factor(records, ann, true, now_ms);
      const RequestVerdict verdict = limiter.check(limits, now_ms, factor);
      if (verdict.kind == RequestVerdict::Kind::allowed) passed_ms.push_back(now_ms);
      if (verdict.kind != RequestVerdict::Kind::allowed && dice.one_in(5))
        adaptive.bad(records, ann, static_cast<Offence>(dice.roll(0, 4)), now_ms);
      if (dice.one_in(100)) adaptive = AdaptiveLimit();  // another connection
    }
    const double per_ms = 1.2 * static_cast<double>(limits.messages_per_minute) / 60'000;
    const double burst = std::max(1.0, 1.2 * static_cast<double>(limits.burst));
    for (std::size_t first = 0; first < passed_ms.size(); ++first) {
      for (std::size_t last = first; last < passed_ms.size(); last += 7) {
        const auto window_ms = static_cast<double>(passed_ms[last] - passed_ms[first]);
        ASSERT_LE(static_cast<double>(last - first + 1), burst + per_ms * window_ms + 1e-6);
      }
    }
  });
}

}  // namespace
}  // namespace tidewire::guard
