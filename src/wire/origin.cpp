#include <algorithm>

#include "wire/handshake.h"
#include "wire/url.h"

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

std::optional<Origin> parse_host(std::string_view scheme, std::string_view text) {
  const auto at = split_host(text);
  if (!at || at->host.empty()) return std::nullopt;
  return Origin{scheme, at->host, at->port.value_or(default_port(scheme))};
}

std::optional<Origin> parse_origin(std::string_view text) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  return parse_host(text.substr(0, colon), text.substr(colon + 3));
}

}  // namespace

bool origin_allowed(const HttpRequest& request, std::span<const std::string> allowed) {
  return origin_allowed(request.headers.find("Origin"), request.headers.find("Host").value_or(""),
                        request.over_tls, allowed);
}

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
