// JSON as a tree that can be changed, and its compact text: the one place that knows how a folded document
// is spelled (protocol §7).
//
// Includes nlohmann/json, so only for .cpp files. Invariant: a tree from parse_tree holds no number that is
// infinite and nests at most kTreeDepthMax deep, so recursion over it is safe, and its text parses to the
// same tree again. Pure.
#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tidewire::kinds {

using Json = nlohmann::json;

inline constexpr std::size_t kTreeDepthMax = 128;  // an empty object is 1 deep

// `text` must be valid UTF-8. invalid_event, with a message that begins with `what`: not JSON or too deep, a
// number beyond a double, a lone surrogate. Of a key that stands twice the last one counts.
Result<Json> parse_tree(std::string_view text, std::string_view what);

struct Measure {
  std::size_t bytes = 0;  // of the compact text
  std::size_t depth = 0;  // 0: no container
};
Measure measure(const Json& tree);

// The length of `text` as a JSON string, quotes included.
std::size_t measure_string(std::string_view text);

// The compact text, keys sorted, strings as UTF-8, doubles with a fraction or an exponent.
std::string text_of(const Json& tree);

// Whether two trees are equal as RFC 6902 §4.6 has it: numbers by their exact value, 1 and 1.0 alike.
bool same_value(const Json& a, const Json& b);

}  // namespace tidewire::kinds
