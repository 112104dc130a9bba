#include "hub/test_shards.h"

namespace tidewire::hub {
namespace {

constexpr std::int64_t kHold_ms = 60'000;

SessionOptions acting(guard::AnomalyAction action) {
  return {.anonymous_capabilities = {}, .anomaly = {.action = action, .hold_ms = kHold_ms}};
}

struct Caller {
  TestShards& shards;
  auth::IdentityPtr who = TestShards::user("ann");

  std::optional<Error> pass_rate() {
    return shards.sessions().pass_rate({.tenant = 0, .identity = who.get()}, shards.now);
  }
  void call(std::string channel, std::optional<ErrorCode> outcome = {}) {
    shards.sessions().watch_call({.tenant = 0,
                                  .user = std::string(who->user_id),
                                  .bytes = 100,
                                  .channel = std::move(channel),
                                  .publishes = true,
                                  .outcome = outcome},
                                 shards.now);
  }
  // Many refused channels within a window, and its end.
  void scan() {
    for (int i = 0; i < 300; ++i) call("nowhere:" + std::to_string(i), ErrorCode::not_found);
    shards.pass(guard::ActivityMeter::kWindow_ms);
    for (int i = 0; i < 64; ++i) shards.sessions().judge_calls(shards.now);
  }
  std::int64_t factor() {
    return shards.limits.records()
        .factor(guard::LimitKeys(1).user("default", who->user_id), shards.now.mono_ms())
        .permille();
  }
};

TEST(Callers, WhatTheyDoIsReportedEvenIfTheyThenFallSilent) {
  TestShards shards(1, acting(guard::AnomalyAction::report));
  Caller ann{shards};
  ann.scan();
  const auto reports = shards.limits.anomalies().latest();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].kind, guard::AnomalyKind::channel_scan);
  EXPECT_EQ(reports[0].user, "ann");
  EXPECT_FALSE(ann.pass_rate()) << "reported, and nothing else";
  EXPECT_EQ(ann.factor(), 1000) << "the record does not know of it";
}

TEST(Callers, ServersFaultsAndLostRacesAreNotTheirs) {
  TestShards shards(1, acting(guard::AnomalyAction::report));
  Caller ann{shards};
  for (const ErrorCode code : {ErrorCode::unavailable, ErrorCode::internal, ErrorCode::conflict})
    for (int i = 0; i < 30; ++i) ann.call("doc:a", code);
  shards.pass(guard::ActivityMeter::kWindow_ms);
  for (int i = 0; i < 64; ++i) shards.sessions().judge_calls(shards.now);
  for (const auto& report : shards.limits.anomalies().latest())
    EXPECT_NE(report.kind, guard::AnomalyKind::error_flood);
}

TEST(Callers, RefuseRefusesTheUserHoweverItComesAndItsRecordLearns) {
  TestShards shards(1, acting(guard::AnomalyAction::refuse));
  Caller ann{shards};
  Caller bob{shards, TestShards::user("bob")};
  const auto peer = shards.open(ann.who);
  ann.scan();
  const auto refusal = ann.pass_rate();
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->code, ErrorCode::rate_limited);
  EXPECT_NEAR(static_cast<double>(refusal->retry_after_ms), kHold_ms, 1000);
  EXPECT_EQ(shards.code_of(peer, R"({"type":"publish","channel":"room:a","data":1})"), "rate_limited");
  EXPECT_FALSE(bob.pass_rate());
  EXPECT_LT(ann.factor(), 800);
  EXPECT_EQ(bob.factor(), 1000);
  shards.pass(kHold_ms + 1000);
  EXPECT_FALSE(ann.pass_rate());
  EXPECT_LT(ann.factor(), 800) << "it is remembered longer than it is held";
}

// Four requests a second for so long, by calls and by messages; when the last one was refused for the hold.
std::int64_t refused_until_ms(TestShards& shards, Caller& caller, std::int64_t for_ms) {
  const auto peer = shards.open(caller.who);
  const std::int64_t begin_ms = shards.now.mono_ms();
  std::int64_t last_ms = 0;
  for (std::int64_t gone_ms = 0; gone_ms < for_ms; gone_ms = shards.now.mono_ms() - begin_ms) {
    const auto refusal = caller.pass_rate();
    caller.call("room:a", refusal ? std::optional(refusal->code) : std::nullopt);
    const std::string code = shards.code_of(peer, R"({"type":"publish","channel":"room:a","data":1})");
    if (refusal && refusal->message.starts_with("unusual")) {
      EXPECT_LE(refusal->retry_after_ms, kHold_ms - gone_ms);
      EXPECT_EQ(code, "rate_limited");
      last_ms = gone_ms;
    }
    shards.pass(487);
    shards.sessions().judge_calls(shards.now);
  }
  return last_ms;
}

TEST(Callers, TheHoldsOwnRefusalsAreNoAnomalyAndDoNotLengthenIt) {
  TestShards shards(1, acting(guard::AnomalyAction::refuse));
  Caller ann{shards};
  ann.scan();
  const std::size_t before = shards.limits.anomalies().latest().size();
  EXPECT_NEAR(static_cast<double>(refused_until_ms(shards, ann, kHold_ms + 5'000)), kHold_ms, 500);
  EXPECT_EQ(shards.limits.anomalies().latest().size(), before);
}

TEST(Callers, WhatSlowRefusesIsNoAnomaly) {
  TenantLimits limits;
  limits.guard = {.messages_per_minute = 4, .burst = 1, .penalty_ms = 0, .adaptive = false};
  TestShards shards(1, acting(guard::AnomalyAction::slow), limits);
  Caller ann{shards};
  ann.scan();
  const std::size_t before = shards.limits.anomalies().latest().size();
  refused_until_ms(shards, ann, kHold_ms - 1'000);
  EXPECT_EQ(shards.limits.anomalies().latest().size(), before);
}

TEST(Callers, SlowHalvesTheirRate) {
  TenantLimits limits;
  limits.guard = {.messages_per_minute = 60, .burst = 20, .adaptive = false};
  TestShards shards(1, acting(guard::AnomalyAction::slow), limits);
  Caller ann{shards}, bob{shards, TestShards::user("bob")};
  ann.scan();
  const auto passed = [](Caller& caller) {
    int count = 0;
    while (count < 1000 && !caller.pass_rate()) ++count;
    return count;
  };
  EXPECT_EQ(passed(ann), 50);
  EXPECT_EQ(passed(bob), 100);
}

TEST(Callers, ADryRunLetsThemPass) {
  TenantLimits limits;
  limits.guard.dry_run = true;
  TestShards shards(1, acting(guard::AnomalyAction::refuse), limits);
  Caller ann{shards};
  ann.scan();
  EXPECT_FALSE(ann.pass_rate());
}

TEST(Callers, ASessionsAnomalyIsRemembered) {
  for (const guard::AnomalyAction action :
       {guard::AnomalyAction::report, guard::AnomalyAction::slow, guard::AnomalyAction::refuse}) {
    TestShards shards(1, acting(action));
    Caller ann{shards};
    const auto peer = shards.open(ann.who);
    for (int i = 0; i < 300; ++i)
      shards.say(peer, R"({"type":"subscribe","channel":"nowhere)" + std::to_string(i) + R"(:x"})");
    shards.close(peer);
    EXPECT_EQ(shards.limits.anomalies().latest().size(), 1u);
    if (action == guard::AnomalyAction::report)
      EXPECT_EQ(ann.factor(), 1000);
    else
      EXPECT_LT(ann.factor(), 800) << name_of(action);
  }
}

}  // namespace
}  // namespace tidewire::hub
