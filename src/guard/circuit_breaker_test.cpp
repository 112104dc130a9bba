#include "guard/circuit_breaker.h"

#include "guard/circuit_history.h"
#include "guard/seeds.h"

namespace tidewire::guard {
namespace {

using enum CircuitState;

class Breaker : public testing::Test {
 protected:
  CircuitOptions options_{.open_ms = 1'000};
  CircuitBreaker breaker_;

  std::optional<CircuitTransition> fail(std::int64_t now_ms) {
    const CircuitBreaker::Permit permit = breaker_.ask(options_, now_ms);
    EXPECT_TRUE(permit.ticket);
    return breaker_.failed(options_, permit.ticket.value_or(CircuitBreaker::Ticket{}), now_ms);
  }
  void open(std::int64_t now_ms) {
    for (int i = 0; i < options_.failures; ++i) fail(now_ms);
    ASSERT_EQ(breaker_.state(), CircuitState::open);
  }
};

TEST_F(Breaker, OpensAtTheFifthFailureInARow) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(fail(0), std::nullopt);
  EXPECT_EQ(fail(0), (CircuitTransition{closed, CircuitState::open}));
  const CircuitBreaker::Permit permit = breaker_.ask(options_, 400);
  EXPECT_FALSE(permit.ticket);
  EXPECT_EQ(permit.retry_after_ms, 600);
  EXPECT_EQ(breaker_.open_until_ms(), 1'000);
  breaker_.ask(options_, 1'000);
  EXPECT_EQ(breaker_.open_until_ms(), 0) << "half open";
}

TEST_F(Breaker, StaysClosedWhereSuccessesComeBetween) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(fail(0), std::nullopt);
    if (i % 4 == 3) breaker_.succeeded(options_, *breaker_.ask(options_, 0).ticket);
  }
  EXPECT_EQ(breaker_.state(), closed);
}

TEST_F(Breaker, ClosesWhenItsProbeSucceeds) {
  open(0);
  const CircuitBreaker::Permit probe = breaker_.ask(options_, 1'000);
  EXPECT_EQ(probe.transition, (CircuitTransition{CircuitState::open, half_open}));
  ASSERT_TRUE(probe.ticket);
  EXPECT_FALSE(breaker_.ask(options_, 1'000).ticket);
  EXPECT_EQ(breaker_.succeeded(options_, *probe.ticket), (CircuitTransition{half_open, closed}));
  EXPECT_TRUE(breaker_.ask(options_, 1'000).ticket);
}

TEST_F(Breaker, WaitsAsLongAgainAfterEachFailedProbe) {
  open(0);
  for (std::int64_t now_ms = 0; now_ms < 10'000; now_ms += 1'000) {
    EXPECT_EQ(breaker_.ask(options_, now_ms).retry_after_ms, 1'000);
    EXPECT_EQ(fail(now_ms + 1'000), (CircuitTransition{half_open, CircuitState::open}));
  }
}

TEST_F(Breaker, NeedsAllItsProbes) {
  options_.probes = 3;
  open(0);
  std::vector<CircuitBreaker::Ticket> tickets;
  for (int i = 0; i < 3; ++i) tickets.push_back(*breaker_.ask(options_, 1'000).ticket);
  EXPECT_FALSE(breaker_.ask(options_, 1'000).ticket);
  EXPECT_EQ(breaker_.succeeded(options_, tickets[0]), std::nullopt);
  EXPECT_EQ(breaker_.succeeded(options_, tickets[1]), std::nullopt);
  EXPECT_EQ(breaker_.succeeded(options_, tickets[2]), (CircuitTransition{half_open, closed}));
}

TEST_F(Breaker, TakesAProbeThatNeverAnswersAsFailed) {
  open(0);
  const CircuitBreaker::Ticket lost = *breaker_.ask(options_, 1'000).ticket;
  EXPECT_FALSE(breaker_.ask(options_, 30'999).ticket);
  EXPECT_EQ(breaker_.ask(options_, 31'000).transition, (CircuitTransition{half_open, CircuitState::open}));
  EXPECT_EQ(breaker_.succeeded(options_, lost), std::nullopt);
  EXPECT_EQ(breaker_.state(), CircuitState::open);
  EXPECT_TRUE(breaker_.ask(options_, 32'000).ticket);
}

TEST_F(Breaker, IgnoresOutcomesOfCallsFromBeforeItOpened) {
  const CircuitBreaker::Ticket early = *breaker_.ask(options_, 0).ticket;
  open(0);
  EXPECT_EQ(breaker_.succeeded(options_, early), std::nullopt);
  EXPECT_EQ(breaker_.failed(options_, early, 500), std::nullopt);
  EXPECT_EQ(breaker_.ask(options_, 500).retry_after_ms, 500);
  const CircuitBreaker::Ticket probe = *breaker_.ask(options_, 1'000).ticket;
  EXPECT_EQ(breaker_.failed(options_, early, 1'000), std::nullopt);
  EXPECT_EQ(breaker_.succeeded(options_, probe), (CircuitTransition{half_open, closed}));
}

TEST_F(Breaker, WorksWithSenselessOptions) {
  options_ = {.failures = 0, .probes = 0, .open_ms = -5, .probe_timeout_ms = -1};
  EXPECT_EQ(fail(0), (CircuitTransition{closed, CircuitState::open}));
  EXPECT_EQ(breaker_.ask(options_, 0).retry_after_ms, 1);
  const CircuitBreaker::Permit probe = breaker_.ask(options_, 1);
  ASSERT_TRUE(probe.ticket);
  EXPECT_EQ(breaker_.succeeded(options_, *probe.ticket), (CircuitTransition{half_open, closed}));
}

TEST(CircuitBreaker, IsNeverStuck) {
  for_seeds(500, [](Dice& dice) {
    const CircuitOptions options{.failures = static_cast<std::uint16_t>(dice.roll(1, 6)),
                                 .probes = static_cast<std::uint16_t>(dice.roll(1, 4)),
                                 .open_ms = dice.roll(1, 20'000),
                                 .probe_timeout_ms = dice.roll(1, 10'000)};
    const std::int64_t longest_ms = options.open_ms + options.probe_timeout_ms;
    CircuitBreaker breaker;
    std::vector<CircuitBreaker::Ticket> out;
    std::int64_t now_ms = 0;
    for (int round = 0; round < 20; ++round) {
      // Calls whose outcomes come late, in any order, twice, or never.
      for (int i = 0; i < 100; ++i) {
        now_ms += dice.roll(0, 500);
        const CircuitBreaker::Permit permit = breaker.ask(options, now_ms);
        ASSERT_EQ(permit.retry_after_ms == 0, permit.ticket.has_value());
        if (permit.ticket) out.push_back(*permit.ticket);
        if (!out.empty() && dice.one_in(2)) {
          const CircuitBreaker::Ticket ticket =
              out[static_cast<std::size_t>(dice.roll(0, static_cast<std::int64_t>(out.size()) - 1))];
          dice.one_in(3) ? breaker.succeeded(options, ticket) : breaker.failed(options, ticket, now_ms);
        }
      }
      // Somebody may try again soon, if he comes back when he is told to.
      const std::int64_t start_ms = now_ms;
      CircuitBreaker::Permit permit = breaker.ask(options, now_ms);
      while (!permit.ticket) {
        ASSERT_GE(permit.retry_after_ms, 1);
        now_ms += permit.retry_after_ms;
        ASSERT_LE(now_ms - start_ms, longest_ms);
        permit = breaker.ask(options, now_ms);
      }
      // And once calls succeed it closes.
      for (int i = 0; i < 200 && breaker.state() != closed; ++i) {
        if (permit.ticket) breaker.succeeded(options, *permit.ticket);
        now_ms += permit.retry_after_ms;
        permit = breaker.ask(options, now_ms);
      }
      ASSERT_EQ(breaker.state(), closed);
    }
  });
}

TEST(CircuitHistory, KeepsTheNewestInTheirOrder) {
  CircuitHistory history(3);
  const CircuitTransition opened{closed, CircuitState::open};
  EXPECT_TRUE(history.since(0).empty());
  for (std::int64_t i = 1; i <= 5; ++i) {
    history.record("store" + std::to_string(i), opened, Time{.mono_us = 0, .unix_ms = i * 10});
  }
  EXPECT_EQ(history.total(), 5u);
  EXPECT_EQ(history.since(0), (std::vector<CircuitHistory::Event>{
                                  {"store3", opened, 30}, {"store4", opened, 40}, {"store5", opened, 50}}));
  EXPECT_EQ(history.since(45), (std::vector<CircuitHistory::Event>{{"store5", opened, 50}}));
}

TEST(CircuitHistory, CutsLongNames) {
  CircuitHistory history(0);
  history.record(std::string(1'000, 'x'), {}, {});
  EXPECT_EQ(history.since(0).at(0).circuit.size(), CircuitHistory::kNameBytes);
}

TEST(CircuitState, HasTheNamesOfTheDashboard) {
  EXPECT_EQ(name_of(closed), "closed");
  EXPECT_EQ(name_of(CircuitState::open), "open");
  EXPECT_EQ(name_of(half_open), "half_open");
}

}  // namespace
}  // namespace tidewire::guard
