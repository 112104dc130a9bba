#include "guard/json_strings.h"

#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace tidewire::guard {

namespace {

constexpr std::size_t kBlock = 64, kHalf = kBlock / 2;
constexpr std::size_t kCoded = 6;  // the size of an escape by its code

// The quotes and backslashes among 64 characters.
template <bool kWide>
std::uint64_t ends_and_escapes(const char* at) {
  std::uint64_t found = 0;
  for (std::size_t i = 0; i < kBlock; i += sizeof(__m128i)) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(at + i));
    const __m128i either =
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    found |= std::uint64_t{static_cast<unsigned>(_mm_movemask_epi8(either))} << i;
  }
  return found;
}
template <>
[[TIDEWIRE_WIDE_VECTORS]] inline std::uint64_t ends_and_escapes<true>(const char* at) {
  std::uint64_t found = 0;
  for (std::size_t i = 0; i < kBlock; i += sizeof(__m256i)) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(at + i));
    const __m256i either = _mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"')),
                                           _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\')));
    found |= std::uint64_t{static_cast<unsigned>(_mm256_movemask_epi8(either))} << i;
  }
  return found;
}

// Anything for what is no digit.
constexpr auto kHex = [] {
  std::array<std::uint8_t, 256> values{};
  for (unsigned i = 0; i < 10; ++i) values['0' + i] = static_cast<std::uint8_t>(i);
  for (unsigned i = 0; i < 6; ++i) values['a' + i] = values['A' + i] = static_cast<std::uint8_t>(10 + i);
  return values;
}();

// What a backslash and this character stand for.
constexpr auto kEscapes = [] {
  std::array<char, 256> characters{};
  for (unsigned i = 0; i < 256; ++i) characters[i] = static_cast<char>(i);
  characters['n'] = '\n';
  characters['t'] = '\t';
  characters['r'] = '\r';
  characters['b'] = '\b';
  characters['f'] = '\f';
  return characters;
}();

bool begins_coded(const char* at) { return std::memcmp(at, "\\u", 2) == 0; }

// Of an escape by its code.
std::uint32_t code_unit(const char* escape) {
  const auto digit = [escape](std::size_t i) {
    return std::uint32_t{kHex[static_cast<std::uint8_t>(escape[2 + i])]};
  };
  return digit(0) << 12 | digit(1) << 8 | digit(2) << 4 | digit(3);
}

char* write_utf8(char* out, std::uint32_t point) {
  const auto byte = [&out](std::uint32_t value) { *out++ = static_cast<char>(value); };
  const auto rest = [&](unsigned shift) { byte(0x80 | (point >> shift & 0x3F)); };
  if (point < 0x80) {
    byte(point);
  } else if (point < 0x800) {
    byte(0xC0 | point >> 6), rest(0);
  } else if (point < 0x10000) {
    byte(0xE0 | point >> 12), rest(6), rest(0);
  } else {
    byte(0xF0 | point >> 18), rest(12), rest(6), rest(0);
  }
  return out;
}

// The character of the escape by its code at `at`, which moves behind it.
char* write_coded(const char*& at, char* out) {
  std::uint32_t point = code_unit(at);
  at += kCoded;
  if (point >= 0xD800 && point < 0xE000) {
    const std::uint32_t low = point < 0xDC00 && begins_coded(at) ? code_unit(at) : 0;
    if (low >= 0xDC00 && low < 0xE000) {
      at += kCoded;
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    } else {
      point = 0xFFFD;
    }
  }
  return write_utf8(out, point);
}

// What stands between two places of a block. Halves of a block are written, whether all of them counts or
// not.
inline char* write(const char* from, const char* to, char* out) {
  const std::ptrdiff_t size = to - from;
  std::memcpy(out, from, kHalf);
  if (size > static_cast<std::ptrdiff_t>(kHalf)) std::memcpy(out + kHalf, from + kHalf, kHalf);
  return out + size;
}

}  // namespace

char* JsonStrings::room(std::size_t size) {
  // An escape that the text's end cuts off may be decoded to more than there is of it.
  const auto whole = [](std::size_t text) { return 1 + text + 2 * kCoded + kZeros; };
  if (whole(size) <= near_.size()) return near_.data();
  // Once for all strings of the text.
  if (!far_) far_ = std::make_unique_for_overwrite<char[]>(whole(json_.size()));
  return far_.get();
}

template <bool kWide>
[[gnu::always_inline]] inline std::string_view JsonStrings::decode_blocks(std::size_t begin) {
  char* const start = room(json_.size() - begin);
  start[0] = '\0';
  char* out = start + 1;
  for (std::size_t block = begin;;) {
    // What is looked at lies within two blocks. Behind the text there are quotes, which end every string.
    const char* here = json_.data() + std::min(block, json_.size());
    std::array<char, 2 * kBlock> last;
    if (block + last.size() > json_.size()) {
      last.fill('"');
      if (block < json_.size()) std::memcpy(last.data(), here, json_.size() - block);
      here = last.data();
    }
    const char* from = here;  // what is not written yet
    std::uint64_t found = ends_and_escapes<kWide>(here);
    while (found != 0) {
      const char* at = here + std::countr_zero(found);
      out = write(from, at, out);
      if (*at == '"') {
        end_ = std::min(block + static_cast<std::size_t>(at - here) + 1, json_.size());
        std::memset(out, 0, kZeros);
        return {start + 1, static_cast<std::size_t>(out - start) - 1};
      }
      if (at[1] != 'u') {
        *out++ = kEscapes[static_cast<std::uint8_t>(at[1])];
        from = at + 2;
        found &= ~std::uint64_t{3} << (at - here);  // what is escaped is no end
      } else {
        from = at;
        // Their digits may be anything in a text that is not valid.
        do out = write_coded(from, out);
        while (from < here + kBlock && begins_coded(from));
        found = from < here + kBlock ? found & ~std::uint64_t{0} << (from - here) : 0;
      }
    }
    if (from < here + kBlock) {
      out = write(from, here + kBlock, out);
      from = here + kBlock;
    }
    block += static_cast<std::size_t>(from - here);
  }
}

std::string_view JsonStrings::decode(std::size_t begin) { return decode_blocks<false>(begin); }
[[TIDEWIRE_WIDE_VECTORS]] std::string_view JsonStrings::decode_wide(std::size_t begin) {
  return decode_blocks<true>(begin);
}

bool JsonStrings::is_key() const {
  std::size_t at = end_;
  while (at < json_.size() && (json_[at] == ' ' || (json_[at] >= '\t' && json_[at] <= '\r'))) ++at;
  return at < json_.size() && json_[at] == ':';
}

}  // namespace tidewire::guard
