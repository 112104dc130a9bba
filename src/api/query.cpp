#include "api/query.h"

#include <fmt/format.h>

#include <charconv>

#include "wire/url.h"

namespace tidewire::api {

Result<std::optional<std::int64_t>> query_integer(std::string_view query, std::string_view name,
                                                  std::int64_t min, std::int64_t max) {
  const auto text = wire::query_parameter(query, name);
  if (!text) return std::nullopt;
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || stop != text->data() + text->size() || value < min || value > max)
    return fail(ErrorCode::invalid_message,
                fmt::format("`{}` must be an integer from {} to {}", name, min, max));
  return value;
}

}  // namespace tidewire::api
