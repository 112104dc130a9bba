#include "wire/bearer.h"

#include "wire/url.h"

namespace tidewire::wire {

std::optional<std::string_view> bearer_token(const HttpHeaders& headers) {
  constexpr std::string_view kScheme = "bearer";
  const auto value = headers.find("authorization");
  if (!value || !equal_ignoring_case(value->substr(0, kScheme.size()), kScheme)) return std::nullopt;
  std::string_view rest = value->substr(kScheme.size());
  if (!rest.empty() && rest.front() != ' ') return std::nullopt;
  const std::size_t start = rest.find_first_not_of(' ');
  return start == std::string_view::npos ? std::string_view() : rest.substr(start);
}

std::optional<std::string> query_token(std::string_view query) {
  const auto raw = raw_query_parameter(query, "token");
  if (!raw) return std::nullopt;
  return query_decode(*raw).value_or(std::string(*raw));
}

}  // namespace tidewire::wire
