// The content policy where people talk about code: what stands in Markdown code, between two runs of as many
// backticks in one string, is talked about and not meant. That holds for `flag`; `reject` looks at
// everything, since backticks protect no reader who shows text as markup (docs/protocol.md, Clarifications).
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "guard/content_rules.h"

namespace tidewire::guard {

// `json`, one valid JSON value, with nothing between the backticks of code. Linear in the text.
std::string without_code(std::string_view json);

// Which rules are broken outside of code. Costs what scan_content() does where nothing is found.
ContentFlags scan_outside_code(std::string_view json);

}  // namespace tidewire::guard
