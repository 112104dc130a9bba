#include "guard/json_strings.h"

#include <emmintrin.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace tidewire::guard {

namespace {

constexpr std::size_t kBlock = 64, kVector = sizeof(__m128i);

// The quotes and backslashes among 64 characters.
std::uint64_t ends_and_escapes(const char* at) {
  std::uint64_t found = 0;
  for (std::size_t i = 0; i < kBlock; i += kVector) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(at + i));
    const __m128i either =
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    found |= std::uint64_t{static_cast<unsigned>(_mm_movemask_epi8(either))} << i;
  }
  return found;
}

constexpr auto kHex = [] {
  std::array<std::int32_t, 256> values{};
  values.fill(-1);
  for (int i = 0; i < 10; ++i) values[static_cast<std::size_t>('0' + i)] = i;
  for (int i = 0; i < 6; ++i)
    values[static_cast<std::size_t>('a' + i)] = values[static_cast<std::size_t>('A' + i)] = 10 + i;
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

// The code unit whose four digits begin at `at`; negative where they do not.
std::int32_t code_unit(std::string_view text, std::size_t at) {
  if (at + 4 > text.size()) return -1;
  const auto digit = [&](std::size_t i) { return kHex[static_cast<std::uint8_t>(text[at + i])]; };
  const std::int32_t a = digit(0), b = digit(1), c = digit(2), d = digit(3);
  return (a | b | c | d) < 0 ? -1 : a << 12 | b << 8 | c << 4 | d;
}

char* write_utf8(char* out, std::uint32_t point) {
  const auto byte = [&out](std::uint32_t value) { *out++ = static_cast<char>(value); };
  if (point < 0x80) {
    byte(point);
    return out;
  }
  if (point < 0x800) {
    byte(0xC0 | point >> 6);
  } else {
    if (point < 0x10000) {
      byte(0xE0 | point >> 12);
    } else {
      byte(0xF0 | point >> 18);
      byte(0x80 | (point >> 12 & 0x3F));
    }
    byte(0x80 | (point >> 6 & 0x3F));
  }
  byte(0x80 | (point & 0x3F));
  return out;
}

// The character of the escape at `at`, which moves behind it: of one by its code, or one that the text's end
// cuts off. Writes no more than it reads.
char* write_escape(std::string_view text, std::size_t& at, char* out) {
  at += 2;
  if (at > text.size()) {
    *out = '\\';
    return out + 1;
  }
  const std::int32_t unit = code_unit(text, at);
  if (unit < 0) return out;
  at += 4;
  auto point = static_cast<std::uint32_t>(unit);
  if (point >= 0xD800 && point < 0xE000) {
    const bool paired = point < 0xDC00 && text.substr(at, 2) == "\\u";
    const std::int32_t low = paired ? code_unit(text, at + 2) : -1;
    if (low >= 0xDC00 && low < 0xE000) {
      at += 6;
      point = 0x10000 + ((point - 0xD800) << 10) + (static_cast<std::uint32_t>(low) - 0xDC00);
    } else {
      point = 0xFFFD;
    }
  }
  return write_utf8(out, point);
}

}  // namespace

char* JsonStrings::room(std::size_t size) {
  const std::size_t whole = 1 + size + kZeros;
  if (whole <= near_.size()) return near_.data();
  // Once for all strings of the text.
  if (!far_) far_ = std::make_unique_for_overwrite<char[]>(1 + json_.size() + kZeros);
  return far_.get();
}

std::string_view JsonStrings::decode(std::size_t begin) {
  const std::string_view json = json_;
  char* const start = room(json.size() - begin);
  start[0] = '\0';
  char* out = start + 1;
  std::size_t from = begin;  // what was not written yet
  // Whole vectors are written, whether all of them counts or not.
  const auto copy_to = [&](std::size_t at) {
    const std::size_t size = at - from;
    if (from + kBlock <= json.size() && size <= kBlock) {
      for (std::size_t i = 0; i < size; i += kVector) std::memcpy(out + i, json.data() + from + i, kVector);
    } else {
      std::memcpy(out, json.data() + from, size);
    }
    out += size;
    from = at;
  };
  end_ = 0;
  for (std::size_t block = begin; end_ == 0; block += kBlock) {
    if (block >= json.size()) {
      if (from < json.size()) copy_to(json.size());
      end_ = json.size();
      break;
    }
    std::uint64_t found;
    if (block + kBlock <= json.size()) {
      found = ends_and_escapes(json.data() + block);
    } else {
      char last[kBlock] = {};
      std::memcpy(last, json.data() + block, json.size() - block);
      found = ends_and_escapes(last);
    }
    // Those that belong to an escape do not count.
    const auto drop_to = [&](std::size_t at) {
      found = at < block + kBlock ? found & ~std::uint64_t{0} << (at - block) : 0;
    };
    if (from > block) drop_to(from);
    while (found != 0) {
      const auto i = static_cast<unsigned>(std::countr_zero(found));
      const std::size_t at = block + i;
      copy_to(at);
      if (json[at] == '"') {
        end_ = at + 1;
        break;
      }
      if (at + 1 < json.size() && json[at + 1] != 'u') {
        *out++ = kEscapes[static_cast<std::uint8_t>(json[at + 1])];
        from = at + 2;
        found &= ~(std::uint64_t{3} << i);
      } else {
        out = write_escape(json, from, out);
        drop_to(from);
      }
    }
    const std::size_t limit = std::min(block + kBlock, json.size());
    if (end_ == 0 && from < limit) copy_to(limit);
  }
  std::memset(out, 0, kZeros);
  return {start + 1, static_cast<std::size_t>(out - start) - 1};
}

bool JsonStrings::is_key() const {
  std::size_t at = end_;
  while (at < json_.size() && (json_[at] == ' ' || (json_[at] >= '\t' && json_[at] <= '\r'))) ++at;
  return at < json_.size() && json_[at] == ':';
}

}  // namespace tidewire::guard
