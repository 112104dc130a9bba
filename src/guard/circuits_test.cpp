#include "guard/circuits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidewire::guard {
namespace {

using testing::ElementsAre;

constexpr Time at(std::int64_t ms) { return {.mono_us = ms * 1000, .unix_ms = 1'000'000 + ms}; }
constexpr CircuitOptions kOptions{.failures = 2, .open_ms = 100};

void fail_once(Circuit& circuit, Time now) {
  const auto permit = circuit.ask(now);
  ASSERT_TRUE(permit.ticket);
  circuit.failed(*permit.ticket, now);
}

TEST(CircuitBoard, ShowsEachCircuitAndItsChanges) {
  std::vector<std::string> told;
  CircuitBoard board([&](std::string_view name, CircuitTransition change) {
    told.push_back(std::string(name) + " " + std::string(name_of(change.to)));
  });
  Circuit directory(board, "directory", kOptions);
  Circuit keys(board, "jwks", kOptions);
  fail_once(directory, at(0));
  EXPECT_TRUE(told.empty());
  fail_once(directory, at(1));
  EXPECT_FALSE(directory.ask(at(50)).ticket);
  const auto probe = directory.ask(at(101));
  ASSERT_TRUE(probe.ticket);
  directory.succeeded(*probe.ticket, at(102));

  EXPECT_THAT(told, ElementsAre("directory open", "directory half_open", "directory closed"));
  const auto rows = board.rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].name, "directory");
  EXPECT_EQ(rows[0].state, CircuitState::closed);
  EXPECT_EQ(rows[0].since_unix_ms, 1'000'102);
  EXPECT_EQ(rows[0].opened, 1u);
  EXPECT_EQ(rows[1].name, "jwks");
  EXPECT_EQ(rows[1].since_unix_ms, 0);
  EXPECT_EQ(board.history(0).size(), 3u);
  EXPECT_EQ(board.history(1'000'101).size(), 2u);
}

TEST(CircuitBoard, KeepsARowThroughAReload) {
  CircuitBoard board(nullptr);
  {
    Circuit before(board, "jwks", kOptions);
    fail_once(before, at(0));
    fail_once(before, at(0));
  }
  Circuit after(board, "jwks", kOptions);
  ASSERT_EQ(board.rows().size(), 1u);
  EXPECT_EQ(board.rows()[0].opened, 1u);
}

}  // namespace
}  // namespace tidewire::guard
