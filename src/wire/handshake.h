// The WebSocket opening handshake, server side (RFC 6455 §4.2, protocol §2), and origins.
//
// Pure functions, any thread.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/http_request.h"

namespace tidewire::wire {

// The views are into the request.
struct UpgradeRequest {
  std::string_view key;
  std::vector<std::string_view> subprotocols;  // in the client's order
  std::string extensions;                      // all Sec-WebSocket-Extensions, joined; empty: none
};

// 405 (with Allow) unless GET; 400 for a doubled Host, Origin, Sec-WebSocket-Key or -Version, a bad
// key, a malformed subprotocol, or a body; 426 (with Upgrade and Sec-WebSocket-Version) for HTTP/1.0,
// no upgrade to websocket, or another version than 13.
std::expected<UpgradeRequest, HttpProblem> check_upgrade(const HttpRequest& request);

// Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2).
std::string accept_key(std::string_view key);

// The 101 response. Empty values leave their field out.
std::string write_upgrade_response(std::string_view accept, std::string_view subprotocol,
                                   std::string_view extensions);

// Whether a page of that origin may connect. Scheme, host (without case) and port are compared, default
// ports filled in. `allowed` holds origins, `same-host` (the page comes from the host and scheme of this
// request; `tls` as the client sees it) and `*`. No origin is no browser and passes. `null`, the origin
// of sandboxed and local pages, passes only where the list names it: `*` does not include it.
bool origin_allowed(std::optional<std::string_view> origin, std::string_view host, bool tls,
                    std::span<const std::string> allowed);
bool origin_allowed(const HttpRequest& request, std::span<const std::string> allowed);

}  // namespace tidewire::wire
