#include "config/address.h"

#include <charconv>

#include "base/ip_address.h"

namespace tidewire::config {

namespace {

bool is_loopback(std::string_view host) {
  const auto address = IpAddress::parse(host);
  return host == "localhost" || (address && address->is_loopback());
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
  const bool coloned = host.find(':') != host.npos;
  if (coloned != bracketed || !IpAddress::parse(host))
    return no("must begin with an IPv4 address, an IPv6 address in brackets, or localhost");
  return ListenAddress{std::string(host), port, is_loopback(host)};
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
