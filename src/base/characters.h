// The classes of ASCII characters that more than one layer reads. No locale. Pure, any thread.
#pragma once

#include <array>
#include <string_view>

namespace tidewire {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr bool is_alphanumeric(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The value of a hexadecimal digit, -1 for anything else.
constexpr int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

inline constexpr std::array<bool, 256> kChannelCharacters = [] {
  std::array<bool, 256> allowed{};
  for (int c = 0; c < 128; ++c) allowed[static_cast<std::size_t>(c)] = is_alphanumeric(static_cast<char>(c));
  for (const char c : std::string_view("._-:@=,;!~+/#")) allowed[static_cast<unsigned char>(c)] = true;
  return allowed;
}();

// What names of channels and users are made of (protocol §1): `A-Z a-z 0-9 . _ - : @ = , ; ! ~ + / #`.
constexpr bool is_channel_character(char c) { return kChannelCharacters[static_cast<unsigned char>(c)]; }

}  // namespace tidewire
