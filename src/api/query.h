// Typed parameters of a query string. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tidewire::api {

// Nothing when it is not there. invalid_message where it is badly encoded.
Result<std::optional<std::string>> query_text(std::string_view query, std::string_view name);

// A decimal integer from `min` to `max`; nothing when it is not there. invalid_message for anything else.
Result<std::optional<std::int64_t>> query_integer(std::string_view query, std::string_view name,
                                                  std::int64_t min, std::int64_t max);

}  // namespace tidewire::api
