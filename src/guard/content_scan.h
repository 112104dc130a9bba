// Which rules of the content policy a payload breaks (protocol §7).
//
// It looks at the decoded strings and keys of a JSON text, so that `\u003cscript` is `<script`. One
// vector pass over the text finds what could matter at all; strings are decoded, and regular expressions
// (RE2, so linear in the text) run, only where it found something. How often it is wrong, and on what,
// stands in bench/results. Pure; any thread.
#pragma once

#include <string_view>

#include "guard/content_rules.h"

namespace tidewire::guard {

// `json` is one valid JSON value. Of another text it says something or other.
ContentFlags scan_content(std::string_view json);

}  // namespace tidewire::guard
