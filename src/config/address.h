// Addresses in settings: where to listen, and networks of trusted proxies.
#pragma once

#include <array>
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

// An IPv4 or IPv6 network, IPv4 mapped into ::ffff:0:0/96.
struct Network {
  std::array<std::uint8_t, 16> address{};
  int prefix_bits = 128;

  // Whether a textual IPv4 or IPv6 address lies in it. False for anything else.
  bool contains(std::string_view address_text) const;
  friend bool operator==(const Network&, const Network&) = default;
};

// "10.0.0.0/8", "::1", "192.168.1.7".
std::expected<Network, std::string> parse_network(std::string_view text);

// Whether a URL's host is a loopback address or "localhost".
bool is_loopback_url(std::string_view url);

}  // namespace tidewire::config
