// Classes of three characters beside each other, and where in a text some of a class stand.
//
// Three belong to a class: one of its first characters, one of its second ones and one of its third ones.
// The vector pass knows a class by the halves of its characters, so that it takes some more for one and never
// fewer; classes() knows it exactly. A constant; any thread.
#pragma once

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "guard/content_words.h"
#include "guard/wide_vectors.h"

namespace tidewire::guard {

struct TripleClass {
  std::string_view first;
  bool (*second)(char lower_char);
  bool (*third)(char lower_char);
};

// 64 characters, one bit for each; and so many behind them are looked at with them.
inline constexpr std::size_t kTripleBlock = 64, kTripleAhead = 2;

// Where three begin, and where the characters stand that were asked for.
template <std::size_t kCharacters>
struct TripleMarks {
  std::uint64_t triples = 0;
  std::array<std::uint64_t, kCharacters> characters{};
};

template <std::size_t kClasses>
class TripleSet {
 public:
  static_assert(kClasses <= 8);

  explicit consteval TripleSet(const std::array<TripleClass, kClasses>& classes) {
    for (unsigned i = 0; i < kClasses; ++i) {
      const auto bit = static_cast<std::uint8_t>(1u << i);
      for (unsigned code = 0; code < 128; ++code) {
        const char c = static_cast<char>(code);
        if (classes[i].first.contains(c)) first_.add(code, bit);
        if (classes[i].second(lower(c))) second_.add(code, bit);
        if (classes[i].third(lower(c))) third_.add(code, bit);
      }
    }
  }

  // Of the three characters at `at`: a bit for each.
  constexpr unsigned classes(const char* at) const {
    return first_.of(at[0]) & second_.of(at[1]) & third_.of(at[2]);
  }

  // Of the 64 characters from `at` on, in two ways that mark the same.
  template <bool kWide, char... kThese>
    requires(!kWide)
  [[gnu::target("ssse3")]] TripleMarks<sizeof...(kThese)> marks(const char* at) const {
    TripleMarks<sizeof...(kThese)> marks;
    for (std::size_t i = 0; i < kTripleBlock; i += sizeof(__m128i)) {
      const auto put = [i](std::uint64_t& bits, int mask) {
        bits |= std::uint64_t{static_cast<unsigned>(mask)} << i;
      };
      const __m128i some = _mm_and_si128(_mm_and_si128(first_.look(at + i), second_.look(at + i + 1)),
                                         third_.look(at + i + 2));
      put(marks.triples, _mm_movemask_epi8(_mm_cmpeq_epi8(some, _mm_setzero_si128())) ^ 0xFFFF);
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(at + i));
      std::size_t n = 0;
      (put(marks.characters[n++], _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(kThese)))), ...);
    }
    return marks;
  }
  template <bool kWide, char... kThese>
    requires kWide
  [[TIDEWIRE_WIDE_VECTORS]] TripleMarks<sizeof...(kThese)> marks(const char* at) const {
    TripleMarks<sizeof...(kThese)> marks;
    for (std::size_t i = 0; i < kTripleBlock; i += sizeof(__m256i)) {
      const auto put = [i](std::uint64_t& bits, int mask) {
        bits |= std::uint64_t{static_cast<unsigned>(mask)} << i;
      };
      const __m256i some =
          _mm256_and_si256(_mm256_and_si256(first_.look_wide(at + i), second_.look_wide(at + i + 1)),
                           third_.look_wide(at + i + 2));
      put(marks.triples, ~_mm256_movemask_epi8(_mm256_cmpeq_epi8(some, _mm256_setzero_si256())));
      const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(at + i));
      std::size_t n = 0;
      (put(marks.characters[n++], _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(kThese)))),
       ...);
    }
    return marks;
  }

 private:
  struct Place {
    alignas(16) std::array<std::uint8_t, 16> low{};
    alignas(16) std::array<std::uint8_t, 16> high{};
    std::array<std::uint8_t, 256> exact{};

    constexpr void add(unsigned code, std::uint8_t bit) {
      low[code & 15] |= bit;
      high[code >> 4] |= bit;
      exact[code] |= bit;
    }
    constexpr unsigned of(char c) const { return exact[static_cast<std::uint8_t>(c)]; }

    // What is not ASCII is in no class.
    [[gnu::target("ssse3")]] __m128i look(const char* at) const {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(at));
      const __m128i halves = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
      return _mm_and_si128(
          _mm_shuffle_epi8(_mm_load_si128(reinterpret_cast<const __m128i*>(low.data())), bytes),
          _mm_shuffle_epi8(_mm_load_si128(reinterpret_cast<const __m128i*>(high.data())), halves));
    }
    [[TIDEWIRE_WIDE_VECTORS]] __m256i look_wide(const char* at) const {
      const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(at));
      const __m256i halves = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
      return _mm256_and_si256(
          _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(*reinterpret_cast<const __m128i*>(low.data())),
                              bytes),
          _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(*reinterpret_cast<const __m128i*>(high.data())),
                              halves));
    }
  };

  Place first_, second_, third_;
};

}  // namespace tidewire::guard
