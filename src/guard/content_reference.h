// The content policy without its shortcuts: every rule looks at all of a decoded string. For the tests,
// which hold the scanner to it.
#pragma once

#include <string>
#include <string_view>

#include "guard/content_patterns.h"
#include "guard/content_rules.h"

namespace tidewire::guard {

// Whether behind some quote of this kind `breaks(rest, it has a partner before it)`.
template <class Breaks>
bool any_way_out(std::string_view text, char quote, Breaks&& breaks) {
  bool partner = false;
  for (std::size_t at = text.find(quote); at != std::string_view::npos; at = text.find(quote, at + 1)) {
    if (quote == '\'' && is_contraction(text, at)) continue;
    if (breaks(text.substr(at + 1), partner)) return true;
    partner = !partner;
  }
  return false;
}

inline bool reference_finds(ContentRule rule, std::string_view text) {
  const auto either_way_out = [&](auto&& breaks) {
    return any_way_out(text, '\'', breaks) || any_way_out(text, '"', breaks);
  };
  switch (rule) {
    case ContentRule::script_tag:
      return has_script_tag(text);
    case ContentRule::javascript_uri:
      return has_script_scheme(text) || has_script_scheme(without_references(text));
    case ContentRule::iframe:
      return has_iframe(text);
    case ContentRule::event_handler:
      return has_event_handler(text);
    case ContentRule::sql_injection:
      if (begins_with_query(text) || is_expression(text)) return true;
      for (std::size_t at = text.find(';'); at != std::string_view::npos; at = text.find(';', at + 1))
        if (goes_on_with_drop(text.substr(at + 1))) return true;
      return either_way_out([](std::string_view rest, bool partner) {
        return is_tautology(rest) || (!partner && goes_on_as_query(rest));
      });
    case ContentRule::nosql_operator:
      return has_operator(text) || either_way_out([](std::string_view rest, bool partner) {
               return !partner && goes_on_as_code(rest);
             });
  }
  return false;
}

// Of a string that is no member's name.
inline ContentFlags reference_flags(std::string_view text) {
  ContentFlags flags;
  for (std::size_t i = 0; i < kContentRules; ++i)
    if (const auto rule = static_cast<ContentRule>(i); reference_finds(rule, text)) flags.add(rule);
  return flags;
}

}  // namespace tidewire::guard
