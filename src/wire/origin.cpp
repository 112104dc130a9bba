#include <algorithm>
#include <charconv>

#include "wire/handshake.h"

namespace tidewire::wire {
namespace {

struct Origin {
  std::string_view scheme;
  std::string_view host;
  unsigned port = 0;

  bool same_as(const Origin& other) const {
    return equal_ignoring_case(scheme, other.scheme) && equal_ignoring_case(host, other.host) &&
           port == other.port;
  }
};

// 0: the scheme has none.
unsigned default_port(std::string_view scheme) {
  if (equal_ignoring_case(scheme, "http")) return 80;
  if (equal_ignoring_case(scheme, "https")) return 443;
  return 0;
}

// host [ ":" port ], where the host may be an IPv6 address in brackets.
std::optional<Origin> parse_host(std::string_view scheme, std::string_view text) {
  std::size_t host_size = std::min(text.find(':'), text.size());
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    host_size = bracket + 1;
  }
  Origin origin{scheme, text.substr(0, host_size), default_port(scheme)};
  if (origin.host.empty() || origin.host.find_first_of("/?#@ ,") != std::string_view::npos)
    return std::nullopt;
  text.remove_prefix(host_size);
  if (text.empty()) return origin;
  text.remove_prefix(1);
  if (text.empty()) return origin;  // "host:" is the default port (RFC 3986 §3.2.3)
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), origin.port);
  if (error != std::errc() || end != text.data() + text.size() || origin.port > 65535) return std::nullopt;
  return origin;
}

std::optional<Origin> parse_origin(std::string_view text) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  return parse_host(text.substr(0, colon), text.substr(colon + 3));
}

}  // namespace

bool origin_allowed(std::optional<std::string_view> origin, std::string_view host, bool tls,
                    std::span<const std::string> allowed) {
  if (!origin) return true;
  if (*origin == "null") return std::ranges::find(allowed, "null") != allowed.end();
  if (std::ranges::find(allowed, "*") != allowed.end()) return true;
  const auto from = parse_origin(*origin);
  if (!from) return false;
  return std::ranges::any_of(allowed, [&](std::string_view entry) {
    const auto to = entry == "same-host" ? parse_host(tls ? "https" : "http", host) : parse_origin(entry);
    return to && from->same_as(*to);
  });
}

}  // namespace tidewire::wire
