// Writing JSON text (RFC 8259): the few pieces that encoders append to a buffer.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

namespace tidewire {

// Appends `text` as a JSON string, quotes included. `text` must be UTF-8; control characters, quotes
// and backslashes are escaped, everything else is copied.
void append_json_string(std::string& out, std::string_view text);

inline std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// 2^53 - 1: the greatest integer that every reader of JSON keeps exactly. No seq is above it and no numeric
// user id further from 0 (protocol §1).
inline constexpr std::int64_t kJsonIntegerMax = (std::int64_t{1} << 53) - 1;

// Appends a decimal integer.
template <class Integer>
void append_json_int(std::string& out, Integer value) {
  fmt::format_int digits(value);
  out.append(digits.data(), digits.size());
}

// Appends `text` with JSON's insignificant line breaks removed. Only for text that is valid JSON,
// where a raw line break can stand only between tokens. Server-sent events need it.
void append_json_without_line_breaks(std::string& out, std::string_view text);

}  // namespace tidewire
