#include "guard/triple_set.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "guard/content_triples.h"

namespace tidewire::guard {
namespace {

// Characters of which every class has some, and others; behind them what is looked at ahead.
std::string text(std::mt19937& random) {
  static constexpr std::string_view kChars = "<:&pt /\"'`on$;sdrorx|}-#=19\\h\xc3\xa9\n,Z";
  std::string chars(kTripleBlock + kTripleAhead, '\0');
  for (char& c : chars) c = kChars[random() % kChars.size()];
  return chars;
}

TEST(TripleSet, MarksAllThatAreOfAClass) {
  std::mt19937 random(1);
  for (int round = 0; round < 1'000; ++round) {
    const std::string chars = text(random);
    const auto marks = kTextTriples.marks<false, '\'', '"'>(chars.data());
    for (std::size_t i = 0; i < kTripleBlock; ++i) {
      if (kTextTriples.classes(chars.data() + i) != 0) {
        EXPECT_NE(marks.triples >> i & 1, 0u) << chars << ' ' << i;
      }
      EXPECT_EQ(marks.characters[0] >> i & 1, chars[i] == '\'' ? 1u : 0u);
      EXPECT_EQ(marks.characters[1] >> i & 1, chars[i] == '"' ? 1u : 0u);
    }
  }
}

TEST(TripleSet, BothKindsOfVectorsMarkTheSame) {
  if (!has_wide_vectors()) GTEST_SKIP() << "this processor has one kind only";
  std::mt19937 random(2);
  for (int round = 0; round < 1'000; ++round) {
    const std::string chars = text(random);
    const auto narrow = kJsonTriples.marks<false, '\\'>(chars.data());
    const auto wide = kJsonTriples.marks<true, '\\'>(chars.data());
    EXPECT_EQ(narrow.triples, wide.triples) << chars;
    EXPECT_EQ(narrow.characters, wide.characters) << chars;
  }
}

}  // namespace
}  // namespace tidewire::guard
