#include "protocol/json_scanner.h"

#include <charconv>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/characters.h"

namespace tidewire::protocol {

namespace {

class Scanner {
 public:
  explicit Scanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }
  bool at_end() const { return at_ == end_; }
  char peek() const { return at_ == end_ ? '\0' : *at_; }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  // One value, no white space before it; `depth_left` counts the containers that may still open.
  bool value(JsonValue& out, int depth_left) {
    const char* start = at_;
    switch (peek()) {
      case '{':
        out.type = JsonType::object;
        if (!object(depth_left)) return false;
        break;
      case '[':
        out.type = JsonType::array;
        if (!array(depth_left)) return false;
        break;
      case '"':
        out.type = JsonType::string;
        if (!string()) return false;
        break;
      case 't':
        out.type = JsonType::boolean;
        if (!word("true")) return false;
        break;
      case 'f':
        out.type = JsonType::boolean;
        if (!word("false")) return false;
        break;
      case 'n':
        out.type = JsonType::null;
        if (!word("null")) return false;
        break;
      default:
        out.type = JsonType::number;
        if (!number()) return false;
    }
    out.text = {start, static_cast<std::size_t>(at_ - start)};
    return true;
  }

  bool string() {
    if (!take('"')) return false;
    while (true) {
      skip_plain_characters();
      if (at_ == end_) return false;
      const char c = *at_++;
      if (c == '"') return true;
      if (c != '\\') return false;  // a raw control character
      if (!escape()) return false;
    }
  }

 private:
  bool object(int depth_left) {
    if (depth_left == 0) return false;
    ++at_;
    skip_space();
    if (take('}')) return true;
    JsonValue ignored;
    while (true) {
      if (!string()) return false;
      skip_space();
      if (!take(':')) return false;
      skip_space();
      if (!value(ignored, depth_left - 1)) return false;
      skip_space();
      if (take('}')) return true;
      if (!take(',')) return false;
      skip_space();
    }
  }

  bool array(int depth_left) {
    if (depth_left == 0) return false;
    ++at_;
    skip_space();
    if (take(']')) return true;
    JsonValue ignored;
    while (true) {
      if (!value(ignored, depth_left - 1)) return false;
      skip_space();
      if (take(']')) return true;
      if (!take(',')) return false;
      skip_space();
    }
  }

  bool word(std::string_view text) {
    if (static_cast<std::size_t>(end_ - at_) < text.size() || std::string_view(at_, text.size()) != text)
      return false;
    at_ += text.size();
    return true;
  }

  bool digits() {
    const char* start = at_;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    return at_ != start;
  }

  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!digits()) return false;
    }
    return true;
  }

  bool escape() {
    if (at_ == end_) return false;
    switch (*at_++) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't':
        return true;
      case 'u':
        for (int i = 0; i < 4; ++i) {
          if (at_ == end_) return false;
          const char c = *at_++;
          if (hex_digit(c) < 0) return false;
        }
        return true;
      default:
        return false;
    }
  }

  // Moves to the next quote, backslash or control character, or to the end.
  void skip_plain_characters() {
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);
    while (end_ - at_ >= 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at_));
      const __m128i special =
          _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                       _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes));
      const int mask = _mm_movemask_epi8(special);
      if (mask != 0) {
        at_ += __builtin_ctz(static_cast<unsigned>(mask));
        return;
      }
      at_ += 16;
    }
#endif
    while (at_ != end_ && *at_ != '"' && *at_ != '\\' && static_cast<unsigned char>(*at_) >= 0x20) ++at_;
  }

  const char* at_;
  const char* end_;
};

// Depth was bounded by scan_json, so a second look need not bound it again.
constexpr int kAnyDepth = 1 << 20;

unsigned hex4(std::string_view digits) {
  unsigned value = 0;
  std::from_chars(digits.data(), digits.data() + 4, value, 16);
  return value;
}

void append_utf8(std::string& out, unsigned code) {
  const auto put = [&](unsigned byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | (code >> 6));
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3f));
    put(0x80 | ((code >> 6) & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

}  // namespace

std::optional<JsonValue> scan_json(std::string_view text, int depth_max) {
  Scanner scanner(text);
  JsonValue value;
  scanner.skip_space();
  if (!scanner.value(value, depth_max)) return std::nullopt;
  scanner.skip_space();
  if (!scanner.at_end()) return std::nullopt;
  return value;
}

void split_object(JsonValue object, std::vector<JsonMember>& out) {
  out.clear();
  Scanner scanner(object.text);
  scanner.take('{');
  scanner.skip_space();
  if (scanner.take('}')) return;
  do {
    scanner.skip_space();
    JsonValue key;
    JsonMember& member = out.emplace_back();
    scanner.value(key, kAnyDepth);
    member.key = unescape(key);
    scanner.skip_space();
    scanner.take(':');
    scanner.skip_space();
    scanner.value(member.value, kAnyDepth);
    scanner.skip_space();
  } while (scanner.take(','));
}

std::vector<JsonValue> split_array(JsonValue array, std::size_t most) {
  std::vector<JsonValue> out;
  Scanner scanner(array.text);
  scanner.take('[');
  scanner.skip_space();
  if (scanner.take(']')) return out;
  do {
    scanner.skip_space();
    scanner.value(out.emplace_back(), kAnyDepth);
    scanner.skip_space();
  } while (out.size() < most && scanner.take(','));
  return out;
}

std::string unescape(JsonValue string, bool* lone) {
  std::string_view text = string.text.substr(1, string.text.size() - 2);
  std::string out;
  out.reserve(text.size());
  while (true) {
    const std::size_t slash = text.find('\\');
    out.append(text.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    const char kind = text[slash + 1];
    text.remove_prefix(slash + 2);
    switch (kind) {
      case 'b':
        out.push_back('\b');
        break;
      case 'f':
        out.push_back('\f');
        break;
      case 'n':
        out.push_back('\n');
        break;
      case 'r':
        out.push_back('\r');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'u': {
        unsigned code = hex4(text);
        text.remove_prefix(4);
        if (code >= 0xd800 && code < 0xdc00 && text.size() >= 6 && text[0] == '\\' && text[1] == 'u') {
          const unsigned low = hex4(text.substr(2));
          if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            text.remove_prefix(6);
          }
        }
        if (code >= 0xd800 && code < 0xe000) {
          code = 0xfffd;
          if (lone != nullptr) *lone = true;
        }
        append_utf8(out, code);
        break;
      }
      default:
        out.push_back(kind);
    }
  }
}

std::optional<std::int64_t> integer_of(JsonValue number) {
  if (number.type != JsonType::number) return std::nullopt;
  std::int64_t value = 0;
  const char* end = number.text.data() + number.text.size();
  const auto [stop, error] = std::from_chars(number.text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::size_t count_characters(std::string_view utf8) {
  std::size_t count = 0;
  for (const char c : utf8) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return count;
}

}  // namespace tidewire::protocol
