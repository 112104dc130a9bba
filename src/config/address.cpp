#include "config/address.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/characters.h"
#include "base/ip_address.h"

namespace tidewire::config {

namespace {

bool is_loopback(std::string_view host) {
  const auto address = IpAddress::parse(host);
  return host == "localhost" || (address && address->is_loopback());
}

std::unexpected<std::string> no(std::string message) { return std::unexpected(std::move(message)); }

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// The authority of a URL: what stands between its scheme and its path, without user and password.
std::string_view authority_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == url.npos) return {};
  std::string_view authority = url.substr(scheme + 3);
  authority = authority.substr(0, authority.find_first_of("/?#\\"));
  if (const std::size_t at = authority.rfind('@'); at != authority.npos) authority.remove_prefix(at + 1);
  return authority;
}

// An authority that ends inside a password, at a `/` say, looks like a host and a port: nothing of the URL is
// repeated then. The `@` that gives it away stands behind what was taken for the authority.
std::unexpected<std::string> no_such(std::string message, std::string_view part, bool may_be_secret) {
  if (may_be_secret) return no(message + "; a /, ?, # or @ in a user or password is to be percent-encoded");
  return no(fmt::format("{}: {}", message, part));
}

// A name of DNS (RFC 1123; bytes from 0x80 on are for IDNA), or an IPv4 address (RFC 3986, section 3.2.2).
bool is_host_name(std::string_view host) {
  constexpr std::size_t kNameMax = 253, kLabelMax = 63;
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > kNameMax) return false;
  std::string_view rest = host, label;
  for (bool more = true; more;) {
    const std::size_t dot = rest.find('.');
    more = dot != rest.npos;
    label = rest.substr(0, dot);
    if (more) rest.remove_prefix(dot + 1);
    const auto fits = [](char c) {
      return is_alphanumeric(c) || c == '-' || c == '_' || static_cast<unsigned char>(c) >= 0x80;
    };
    if (label.empty() || label.size() > kLabelMax || !std::ranges::all_of(label, fits)) return false;
  }
  return !is_digits(label) || IpAddress::parse(host).has_value();
}

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

std::expected<void, std::string> check_http_url(std::string_view url) {
  if (std::ranges::any_of(url,
                          [](char c) { return c == ' ' || c == '\\' || c == '"' || c == '<' || c == '>'; }))
    return no("holds a character that no URL can have");
  std::string_view host = authority_of(url), port;
  std::size_t colon = host.find(':');
  if (host.starts_with('[')) {
    const std::size_t close = host.find(']');
    if (close == host.npos || (close + 1 < host.size() && host[close + 1] != ':'))
      return no("has no whole IPv6 address in its brackets");
    colon = close + 1 < host.size() ? close + 1 : host.npos;
  }
  if (colon != host.npos) port = host.substr(colon + 1);
  host = host.substr(0, colon);
  if (host.empty()) return no("has no host");
  const bool is_cut = std::string_view(host.end(), url.end()).find('@') != url.npos;
  if (host.starts_with('[')) {
    const std::string_view inside = host.substr(1, host.size() - 2);
    const auto address = IpAddress::parse(inside.substr(0, inside.find('%')));  // behind it a zone
    if (!address || inside.find(':') == inside.npos)
      return no_such("has no IPv6 address in its brackets", host, is_cut);
  } else if (!is_host_name(host)) {
    return no_such("has a host that can't be one", host, is_cut);
  }
  unsigned number = 1;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (!port.empty() &&
      (error != std::errc() || end != port.data() + port.size() || number < 1 || number > 65535))
    return no_such("has a port that is none from 1 to 65535", port, is_cut || !is_digits(port));
  return {};
}

bool is_loopback_url(std::string_view url) {
  const std::string_view authority = authority_of(url);
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    return close != authority.npos && is_loopback(authority.substr(1, close - 1));
  }
  return is_loopback(authority.substr(0, authority.find(':')));
}

}  // namespace tidewire::config
