// Which rules of the content policy a payload breaks (protocol §7).
//
// It looks at the decoded strings and keys of a JSON text, so that `\u003cscript` is `<script`. A vector
// pass finds the three characters with which something could begin; strings are decoded where it found
// some, and regular expressions (RE2, so linear in the text) run where a look by hand found more. Neither
// look decides anything: the verdict is the one of the rules over each whole string, which the tests and a
// fuzzer hold it to. How often the rules are wrong, and on what, stands in bench/results. Pure; any thread.
#pragma once

#include <string_view>

#include "guard/content_rules.h"

namespace tidewire::guard {

// `json` is one valid JSON value. Of another text it says something or other.
ContentFlags scan_content(std::string_view json);
// As it is done where has_wide_vectors() is not; for the tests.
ContentFlags scan_content_narrow(std::string_view json);

}  // namespace tidewire::guard
