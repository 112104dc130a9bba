#include "hub/idempotency.h"

#include <gtest/gtest.h>

namespace tidewire::hub {
namespace {

TEST(IdempotencyWindow, AnswersAKeyWithItsSeqUntilItsTimeEnds) {
  IdempotencyWindow window;
  EXPECT_TRUE(window.empty());
  window.add("a", 7, 100);
  EXPECT_EQ(window.find("a", 99), 7u);
  EXPECT_FALSE(window.find("a", 100));
  EXPECT_FALSE(window.find("b", 0));
}

TEST(IdempotencyWindow, KnowsWhatIsUnderWayUntilItIsAnsweredOrGivenUp) {
  IdempotencyWindow window;
  window.expect("a", 7);
  window.expect("b", 8);
  EXPECT_FALSE(window.empty());
  EXPECT_EQ(window.expected("a"), 7u);
  EXPECT_FALSE(window.find("a", 0));
  window.add("a", 7, 100);
  EXPECT_FALSE(window.expected("a"));
  EXPECT_EQ(window.find("a", 0), 7u);
  window.give_up("b");
  EXPECT_FALSE(window.expected("b"));
  EXPECT_FALSE(window.find("b", 0));
}

TEST(IdempotencyWindow, TellsAuthorsApart) {
  EXPECT_NE(IdempotencyWindow::joined("ua", "bk"), IdempotencyWindow::joined("uab", "k"));
  EXPECT_EQ(IdempotencyWindow::joined("u", "k"), IdempotencyWindow::joined("u", "k"));
}

TEST(IdempotencyWindow, ForgetsWhatHasExpired) {
  IdempotencyWindow window;
  window.add("a", 1, 100);
  window.add("b", 2, 200);
  window.expire(100);
  EXPECT_FALSE(window.empty());
  EXPECT_FALSE(window.find("a", 0));
  EXPECT_EQ(window.find("b", 0), 2u);
  window.expire(200);
  EXPECT_TRUE(window.empty());
}

TEST(IdempotencyWindow, KeepsAKeyThatWasUsedAnewAfterItsEnd) {
  IdempotencyWindow window;
  window.add("a", 1, 100);
  window.add("a", 5, 300);
  window.expire(150);
  EXPECT_EQ(window.find("a", 150), 5u) << "the old use must not take the new one along";
  window.expire(300);
  EXPECT_TRUE(window.empty());
}

TEST(IdempotencyWindow, ForgetsTheOldestAtItsBound) {
  IdempotencyWindow window;
  for (std::uint64_t seq = 1; seq <= IdempotencyWindow::kKeysMax + 1; ++seq)
    window.add(std::to_string(seq), seq, 1000);
  EXPECT_FALSE(window.find("1", 0));
  EXPECT_EQ(window.find("2", 0), 2u);
}

}  // namespace
}  // namespace tidewire::hub
