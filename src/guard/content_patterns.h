// What each rule of the content policy means: regular expressions over one decoded string. Pure; any
// thread.
#pragma once

#include <string_view>

#include "guard/content_rules.h"

namespace tidewire::guard {

// Whether the text breaks the rule.
bool breaks_rule(ContentRule rule, std::string_view text);

}  // namespace tidewire::guard
