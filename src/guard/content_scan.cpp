#include "guard/content_scan.h"

#include <emmintrin.h>

#include <bit>
#include <cstring>
#include <memory>

#include "guard/content_patterns.h"
#include "guard/content_suspicion.h"

namespace tidewire::guard {

namespace {

constexpr std::size_t kBlock = 16;

// The quotes and backslashes among 16 bytes.
unsigned ends_and_escapes(__m128i bytes) {
  return static_cast<unsigned>(_mm_movemask_epi8(
      _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')))));
}

// The first quote or backslash from `at` on; the text's size if there is none.
std::size_t find_end_or_escape(std::string_view text, std::size_t at) {
  for (; at + kBlock <= text.size(); at += kBlock) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(text.data() + at));
    if (const unsigned found = ends_and_escapes(bytes); found != 0)
      return at + static_cast<unsigned>(std::countr_zero(found));
  }
  while (at < text.size() && text[at] != '"' && text[at] != '\\') ++at;
  return at;
}

constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char low = static_cast<char>(c | 0x20);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

// The code unit whose four digits begin at `at`; -1 where they do not.
int code_unit(std::string_view text, std::size_t at) {
  if (at + 4 > text.size()) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    const int digit = hex_value(text[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
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

// The character of the escape at `at`, which moves behind it. Writes no more than it reads.
char* write_escape(std::string_view text, std::size_t& at, char* out) {
  const char kind = at + 1 < text.size() ? text[at + 1] : '\\';
  at += 2;
  if (kind != 'u') {
    switch (kind) {
      case 'n':
        *out = '\n';
        break;
      case 't':
        *out = '\t';
        break;
      case 'r':
        *out = '\r';
        break;
      case 'b':
        *out = '\b';
        break;
      case 'f':
        *out = '\f';
        break;
      default:
        *out = kind;
    }
    return out + 1;
  }
  const int unit = code_unit(text, at);
  if (unit < 0) return out;
  at += 4;
  auto point = static_cast<std::uint32_t>(unit);
  if (point >= 0xD800 && point < 0xDC00 && text.substr(at, 2) == "\\u") {
    const int low = code_unit(text, at + 2);
    if (low >= 0xDC00 && low < 0xE000) {
      at += 6;
      point = 0x10000 + ((point - 0xD800) << 10) + (static_cast<std::uint32_t>(low) - 0xDC00);
    }
  }
  if (point >= 0xD800 && point < 0xE000) point = 0xFFFD;
  return write_utf8(out, point);
}

// The strings of a JSON text one after another, decoded.
class Strings {
 public:
  explicit Strings(std::string_view json) : json_(json) {}

  bool next() {
    const void* quote =
        at_ < json_.size() ? std::memchr(json_.data() + at_, '"', json_.size() - at_) : nullptr;
    if (quote == nullptr) return false;
    const auto begin = static_cast<std::size_t>(static_cast<const char*>(quote) - json_.data()) + 1;
    const std::size_t stop = find_end_or_escape(json_, begin);
    if (stop < json_.size() && json_[stop] == '\\') {
      decode(begin, stop);
    } else {
      text_ = json_.substr(begin, stop - begin);
      at_ = stop + 1;
    }
    return true;
  }

  std::string_view text() const { return text_; }
  bool is_key() const {
    std::size_t at = at_;
    while (at < json_.size() && (json_[at] == ' ' || (json_[at] >= '\t' && json_[at] <= '\r'))) ++at;
    return at < json_.size() && json_[at] == ':';
  }

 private:
  // The string from `begin` on, whose first escape is at `at`.
  void decode(std::size_t begin, std::size_t at) {
    // A block is written at once, whether all of it counts or not.
    if (!decoded_) decoded_ = std::make_unique_for_overwrite<char[]>(json_.size() + kBlock);
    char* const start = decoded_.get();
    std::memcpy(start, json_.data() + begin, at - begin);
    char* out = start + (at - begin);
    while (at < json_.size() && json_[at] != '"') {
      if (json_[at] == '\\') {
        out = write_escape(json_, at, out);
      } else if (at + kBlock <= json_.size()) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(json_.data() + at));
        _mm_storeu_si128(reinterpret_cast<__m128i_u*>(out), bytes);
        const unsigned found = ends_and_escapes(bytes);
        const auto plain = found == 0 ? kBlock : static_cast<std::size_t>(std::countr_zero(found));
        at += plain;
        out += plain;
      } else {
        *out++ = json_[at++];
      }
    }
    text_ = {start, static_cast<std::size_t>(out - start)};
    at_ = at + 1;
  }

  std::string_view json_;
  std::size_t at_ = 0;
  std::string_view text_;
  std::unique_ptr<char[]> decoded_;
};

}  // namespace

ContentFlags scan_content(std::string_view json) {
  const Suspicion suspicion = suspect_json(json);
  ContentFlags found;
  if (!suspicion.escapes && suspicion.rules.empty()) return found;
  for (Strings strings(json); strings.next();) {
    const std::string_view text = strings.text();
    if (text.size() > 2 && text.front() == '$' && is_nosql_operator(text) && strings.is_key())
      found.add(ContentRule::nosql_operator);
    for (ContentFlags left = suspect_text(text).without(found); !left.empty();) {
      const ContentRule rule = left.first();
      left = left.without(rule);
      if (breaks_rule(rule, text)) found.add(rule);
    }
  }
  return found;
}

}  // namespace tidewire::guard
