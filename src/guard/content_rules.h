// The rules of the content policy (protocol §7) and sets of them. Values; any thread.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidewire::guard {

enum class ContentRule : std::uint8_t {
  script_tag,
  javascript_uri,
  iframe,
  event_handler,
  sql_injection,
  nosql_operator
};
inline constexpr std::size_t kContentRules = 6;

// As it stands on the wire, such as "script_tag".
constexpr std::string_view name_of(ContentRule rule) {
  constexpr std::array<std::string_view, kContentRules> kNames{
      "script_tag", "javascript_uri", "iframe", "event_handler", "sql_injection", "nosql_operator"};
  return kNames[static_cast<std::size_t>(rule)];
}

class ContentFlags {
 public:
  constexpr ContentFlags() = default;
  constexpr ContentFlags(ContentRule rule) : bits_(bit(rule)) {}

  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool has(ContentRule rule) const { return (bits_ & bit(rule)) != 0; }
  // The first in the order of the rules; the set must not be empty.
  constexpr ContentRule first() const { return static_cast<ContentRule>(std::countr_zero(bits_)); }
  constexpr void add(ContentFlags other) { bits_ = static_cast<std::uint8_t>(bits_ | other.bits_); }
  constexpr ContentFlags without(ContentFlags other) const {
    ContentFlags rest;
    rest.bits_ = static_cast<std::uint8_t>(bits_ & ~other.bits_);
    return rest;
  }

  friend constexpr bool operator==(ContentFlags, ContentFlags) = default;

 private:
  static constexpr std::uint8_t bit(ContentRule rule) {
    return static_cast<std::uint8_t>(1u << static_cast<unsigned>(rule));
  }
  std::uint8_t bits_ = 0;
};

}  // namespace tidewire::guard
