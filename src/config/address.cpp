#include "config/address.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>
#include <optional>

namespace tidewire::config {

namespace {

using Bytes = std::array<std::uint8_t, 16>;

// An address in the 16 bytes of IPv6; `is_v4` tells how it was written.
struct Parsed {
  Bytes bytes{};
  bool is_v4 = false;
};

std::optional<Parsed> parse_address(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN + 1] = {};
  if (text.empty() || text.size() >= sizeof buffer) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  Parsed out;
  std::uint8_t v4[4];
  if (inet_pton(AF_INET, buffer, v4) == 1) {
    out.is_v4 = true;
    out.bytes[10] = out.bytes[11] = 0xff;
    std::memcpy(out.bytes.data() + 12, v4, sizeof v4);
    return out;
  }
  if (inet_pton(AF_INET6, buffer, out.bytes.data()) == 1) return out;
  return std::nullopt;
}

constexpr Network kLoopback4{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 0}, 104};
constexpr Network kLoopback6{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128};

bool is_loopback(std::string_view host) {
  return host == "localhost" || kLoopback4.contains(host) || kLoopback6.contains(host);
}

std::unexpected<std::string> no(std::string message) { return std::unexpected(std::move(message)); }

}  // namespace

std::expected<ListenAddress, std::string> parse_listen_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return no("must be ADDRESS:PORT, such as 127.0.0.1:8080");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size())
    return no("must end with a port from 0 to 65535");
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host == "localhost" && !bracketed) return ListenAddress{"127.0.0.1", port, true};
  const auto address = parse_address(host);
  if (!address || address->is_v4 == bracketed)
    return no("must begin with an IPv4 address, an IPv6 address in brackets, or localhost");
  return ListenAddress{std::string(host), port, is_loopback(host)};
}

bool Network::contains(std::string_view address_text) const {
  const auto other = parse_address(address_text);
  if (!other) return false;
  const auto whole = static_cast<std::size_t>(prefix_bits / 8);
  if (std::memcmp(other->bytes.data(), address.data(), whole) != 0) return false;
  const int rest = prefix_bits % 8;
  if (rest == 0) return true;
  const int mask = 0xff << (8 - rest);
  return ((other->bytes[whole] ^ address[whole]) & mask) == 0;
}

std::expected<Network, std::string> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return no("\"" + std::string(text) + "\" is no address or network, such as 10.0.0.0/8");
  const int width = address->is_v4 ? 32 : 128;
  int bits = width;
  if (slash != text.npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc() || end != digits.data() + digits.size() || bits < 0 || bits > width)
      return no("\"" + std::string(text) + "\" has no prefix length from 0 to " + std::to_string(width));
  }
  return Network{address->bytes, bits + 128 - width};
}

bool is_loopback_url(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == url.npos) return false;
  std::string_view authority = url.substr(scheme + 3);
  authority = authority.substr(0, authority.find_first_of("/?#\\"));
  if (const std::size_t at = authority.rfind('@'); at != authority.npos) authority.remove_prefix(at + 1);
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    return close != authority.npos && is_loopback(authority.substr(1, close - 1));
  }
  return is_loopback(authority.substr(0, authority.find(':')));
}

}  // namespace tidewire::config
