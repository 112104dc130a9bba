#include "wire/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidewire::wire {
namespace {

using namespace std::string_literals;

// As RFC 3629 spells it, one code point at a time.
bool valid_by_decoding(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = lead < 0x80       ? 1
                             : lead >> 5 == 6  ? 2
                             : lead >> 4 == 14 ? 3
                             : lead >> 3 == 30 ? 4
                                               : 0;
    if (size == 0 || i + size > text.size()) return false;
    unsigned long point = size == 1 ? lead : lead & (0x7Fu >> size);
    for (std::size_t k = 1; k < size; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      point = point << 6 | (next & 0x3F);
    }
    constexpr unsigned long kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < kLeast[size] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
    i += size;
  }
  return true;
}

TEST(Utf8, AgreesWithTheRfcOnEveryShortSequence) {
  const std::vector<int> edges{0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF,
                               0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
  for (const int a : edges)
    for (const int b : edges)
      for (const int c : edges)
        for (const int d : edges) {
          const std::string text{static_cast<char>(a), static_cast<char>(b), static_cast<char>(c),
                                 static_cast<char>(d)};
          const bool valid = valid_by_decoding(text);
          ASSERT_EQ(is_valid_utf8(text), valid) << a << ' ' << b << ' ' << c << ' ' << d;
          ASSERT_EQ(is_valid_utf8(text + std::string(70, 'x')), valid);
          Utf8Validator steps;
          bool alive = true;
          for (const char& byte : text) alive = steps.feed({&byte, 1});
          ASSERT_EQ(alive && steps.complete(), valid);
        }
}

TEST(Utf8, TakesEveryCodePoint) {
  std::string all;
  for (unsigned long p = 0; p <= 0x10FFFF; ++p) {
    if (p >= 0xD800 && p <= 0xDFFF) continue;
    const auto tail = [&](int shift) { all += static_cast<char>(0x80 | (p >> shift & 0x3F)); };
    if (p < 0x80) {
      all += static_cast<char>(p);
    } else if (p < 0x800) {
      all += static_cast<char>(0xC0 | p >> 6), tail(0);
    } else if (p < 0x10000) {
      all += static_cast<char>(0xE0 | p >> 12), tail(6), tail(0);
    } else {
      all += static_cast<char>(0xF0 | p >> 18), tail(12), tail(6), tail(0);
    }
  }
  EXPECT_TRUE(is_valid_utf8(all));
}

TEST(Utf8, FindsABadByteAtEveryPlaceOfLongText) {
  for (std::size_t size = 1; size < 200; ++size)
    for (std::size_t at = 0; at < size; at += 3) {
      std::string text(size, 'a');
      ASSERT_TRUE(is_valid_utf8(text));
      text[at] = '\xFF';
      ASSERT_FALSE(is_valid_utf8(text)) << size << ' ' << at;
    }
}

TEST(Utf8Validator, FailsAsSoonAsAByteCannotContinue) {
  for (const auto& [good, bad] : std::vector<std::pair<std::string, char>>{{"", '\x80'},
                                                                           {"", '\xC0'},
                                                                           {"", '\xC1'},
                                                                           {"", '\xF5'},
                                                                           {"\xC2", 'a'},
                                                                           {"\xE0", '\x9F'},
                                                                           {"\xED", '\xA0'},
                                                                           {"\xF0", '\x8F'},
                                                                           {"\xF4", '\x90'},
                                                                           {"\xF1\x80", '\xC0'},
                                                                           {"\xF1\x80\x80", 'a'}}) {
    Utf8Validator validator;
    EXPECT_TRUE(validator.feed(good));
    EXPECT_FALSE(validator.feed({&bad, 1}));
    EXPECT_FALSE(validator.feed("a"));
    EXPECT_FALSE(validator.complete());
    validator.reset();
    EXPECT_TRUE(validator.feed("a"));
  }
}

TEST(Utf8Validator, GivesTheSameAnswerHoweverTheTextIsCut) {
  const std::string text =
      "plain \xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80 and a longer run of plain text here \xC3\xA4"s;
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Utf8Validator validator;
    EXPECT_TRUE(validator.feed(std::string_view(text).substr(0, cut)));
    EXPECT_TRUE(validator.feed(std::string_view(text).substr(cut)));
    EXPECT_TRUE(validator.complete());
  }
}

TEST(Utf8Prefix, DoesNotCutACharacter) {
  EXPECT_EQ(utf8_prefix("a\xE2\x82\xAC", 4), "a\xE2\x82\xAC");
  EXPECT_EQ(utf8_prefix("a\xE2\x82\xAC", 3), "a");
  EXPECT_EQ(utf8_prefix("a\xE2\x82\xAC", 1), "a");
  EXPECT_EQ(utf8_prefix("\xE2\x82\xAC", 2), "");
}

}  // namespace
}  // namespace tidewire::wire
