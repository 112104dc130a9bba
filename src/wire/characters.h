// The classes of ASCII characters that HTTP's and WebSocket's headers are made of (RFC 9110 §5.6).
// No locale. Pure functions, any thread.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/characters.h"

namespace tidewire::wire {

constexpr bool is_token_char(char c) {
  return is_alphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

constexpr bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_char);
}

// A control character that no field value may hold; a tab may stand there.
constexpr bool is_forbidden_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
}

}  // namespace tidewire::wire
