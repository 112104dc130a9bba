// Addresses in settings: where to listen, and whether a URL stays on this machine. Networks are read
// by IpPrefix in base/ip_address.h. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace tidewire::config {

struct ListenAddress {
  std::string host;  // an address without brackets; "localhost" has become 127.0.0.1
  std::uint16_t port = 0;
  bool is_loopback = false;
  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

// "127.0.0.1:8080", "[::1]:0", "localhost:8080". The error is a sentence for a human.
std::expected<ListenAddress, std::string> parse_listen_address(std::string_view text);

// Whether a request could go to an `http://` or `https://` URL, as far as can be said without trying: it has
// a host that can be one, a port from 1 to 65535 or none, and no character that a URL can't have. The error
// is the end of a sentence that begins with the key, and repeats of the URL its host or port at most, and
// neither where it may be part of a password.
std::expected<void, std::string> check_http_url(std::string_view url);

// Whether a URL's host is a loopback address or "localhost".
bool is_loopback_url(std::string_view url);

}  // namespace tidewire::config
