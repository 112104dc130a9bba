// Which two characters beside each other could begin something that a rule of the content policy is about.
//
// A pair belongs to a class: one of its first characters, and one of its second ones. The vector pass
// knows the classes by the halves of a character (so it takes some more pairs for one, and never fewer), 16
// characters in a dozen instructions; contains() knows them exactly. Constants; any thread.
#pragma once

#include <tmmintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "guard/content_words.h"

namespace tidewire::guard {

struct PairClass {
  std::string_view first;
  bool (*second)(char lower_char);
};

template <std::size_t kClasses>
class PairSet {
 public:
  static_assert(kClasses <= 8);

  explicit consteval PairSet(const std::array<PairClass, kClasses>& classes) {
    for (unsigned i = 0; i < kClasses; ++i) {
      const auto bit = static_cast<std::uint8_t>(1u << i);
      for (unsigned code = 0; code < 128; ++code) {
        const char c = static_cast<char>(code);
        if (classes[i].first.contains(c)) first_.add(code, bit);
        if (classes[i].second(lower(c))) second_.add(code, bit);
      }
    }
  }

  constexpr bool contains(char first, char second) const {
    return (first_.of(first) & second_.of(second)) != 0;
  }

  // Where among the 16 characters from `at` on pairs could begin, as bytes that are not zero; the 17th is
  // read too.
  [[gnu::target("ssse3")]] __m128i look(const char* at) const {
    return _mm_and_si128(first_.look(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(at))),
                         second_.look(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(at + 1))));
  }

 private:
  struct Side {
    alignas(16) std::array<std::uint8_t, 16> low{};
    alignas(16) std::array<std::uint8_t, 16> high{};
    std::array<std::uint8_t, 256> exact{};

    constexpr void add(unsigned code, std::uint8_t bit) {
      low[code & 15] |= bit;
      high[code >> 4] |= bit;
      exact[code] |= bit;
    }
    constexpr std::uint8_t of(char c) const { return exact[static_cast<std::uint8_t>(c)]; }
    // What is not ASCII is in no class.
    [[gnu::target("ssse3")]] __m128i look(__m128i bytes) const {
      const __m128i halves = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
      return _mm_and_si128(
          _mm_shuffle_epi8(_mm_load_si128(reinterpret_cast<const __m128i*>(low.data())), bytes),
          _mm_shuffle_epi8(_mm_load_si128(reinterpret_cast<const __m128i*>(high.data())), halves));
    }
  };

  Side first_, second_;
};

// Behind a quote, or at a text's beginning, something goes on that somebody else has begun.
constexpr bool may_go_on(char c) {
  return is_any_of(c, kBetween) || std::string_view("-#=|&;/*").contains(c) || kQueryWordList.may_begin(c);
}

inline constexpr PairSet kContentPairs(std::to_array<PairClass>(
    {{"<", [](char c) { return is_blank(c) || std::string_view("/si").contains(c); }},
     {":", [](char c) { return c == 's' || c == 'i'; }},
     {{"tT \t\n\v\f\r\0", 9}, [](char c) { return c == ':'; }},
     {"/oO", [](char c) { return c == 'h' || c == 'n'; }},
     {"&", [](char c) { return std::string_view("#ctnl").contains(c); }},
     {"'", may_go_on},
     {"$;", [](char c) { return is_blank(c) || c == 'd' || kOperatorList.may_begin(c); }},
     {"\"", [](char c) { return is_digit(c) || c == '-' || c == ')'; }}}));

constexpr bool may_go_on(char c, char next) {
  return is_letter(c) ? kQueryWordList.may_begin(c, next) : may_go_on(c);
}
// A quote, and of other pairs both, are followed by the last one of these.
constexpr bool may_break_out(char next, char behind_it) {
  return may_go_on(next, behind_it) && (!is_blank(next) || may_go_on(behind_it));
}
constexpr bool may_go_on_behind(char next, char behind_it) {
  return !is_any_of(next, kBlank | kSlash) || is_any_of(behind_it, kBlank | kSlash) ||
         lower(behind_it) == 's' || lower(behind_it) == 'i' || lower(behind_it) == 'd' ||
         lower(behind_it) == 't';
}
// Behind a quote and what may follow it, where a literal could be compared with itself.
constexpr bool may_be_tautology(char c) { return lower(c) == 'o' || lower(c) == 'a' || c == '|' || c == '/'; }
// Before the name of an attribute.
constexpr bool may_end_before_name(char c) {
  return is_any_of(c, kBlank | kSlash) || c == '"' || c == '\'' || c == '`';
}

}  // namespace tidewire::guard
