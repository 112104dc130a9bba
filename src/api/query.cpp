#include "api/query.h"

#include <fmt/format.h>

#include <charconv>

#include "wire/url.h"
#include "wire/utf8.h"

namespace tidewire::api {

Result<std::optional<std::string>> query_text(std::string_view query, std::string_view name) {
  const auto raw = wire::raw_query_parameter(query, name);
  if (!raw) return std::nullopt;
  auto text = wire::query_decode(*raw);
  if (!text || !wire::is_valid_utf8(*text))
    return fail(ErrorCode::invalid_message, fmt::format("`{}` is badly encoded", name));
  return text;
}

Result<std::optional<std::int64_t>> query_integer(std::string_view query, std::string_view name,
                                                  std::int64_t min, std::int64_t max) {
  const auto asked = query_text(query, name);
  if (!asked) return std::unexpected(asked.error());
  if (!*asked) return std::nullopt;
  const std::string& text = **asked;
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size() || value < min || value > max)
    return fail(ErrorCode::invalid_message,
                fmt::format("`{}` must be an integer from {} to {}", name, min, max));
  return value;
}

}  // namespace tidewire::api
