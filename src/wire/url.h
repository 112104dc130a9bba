// Percent-encoding and query strings (RFC 3986, and the query form that browsers send).
// Pure functions, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidewire::wire {

// Nothing when a `%` is not followed by two hexadecimal digits. `+` stays.
std::optional<std::string> percent_decode(std::string_view text);

// The value of the first parameter of that name, decoded, `+` as a space; empty for a name without `=`.
// Nothing when it is not there or its value is badly encoded.
std::optional<std::string> query_parameter(std::string_view query, std::string_view name);

// The same as it came, undecoded; and how it is decoded.
std::optional<std::string_view> raw_query_parameter(std::string_view query, std::string_view name);
std::optional<std::string> query_decode(std::string_view raw);

// All parameters in their order, decoded; a value that is badly encoded is nothing.
std::vector<std::pair<std::string, std::optional<std::string>>> query_pairs(std::string_view query);

// host [ ":" port ] of RFC 3986 §3.2.2, where the host may be an IPv6 address in brackets, and may be empty.
// Nothing when it is malformed; a port may also be empty, which is none.
struct HostAndPort {
  std::string_view host;
  std::optional<unsigned> port = {};
};
std::optional<HostAndPort> split_host(std::string_view text);

}  // namespace tidewire::wire
