// TOML 1.0 text to values with line numbers. The one place that knows the TOML library.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "config/problem.h"
#include "config/value.h"

namespace tidewire::config {

// The table that the text is. Bounded: 1 MiB of text, 32 levels deep. `source` goes into the problem.
std::expected<Value::Table, ConfigProblem> parse_toml(std::string_view text, const std::string& source);

}  // namespace tidewire::config
