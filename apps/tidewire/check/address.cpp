#include <fmt/format.h>

#include "check/network.h"

namespace tidewire::check {

std::string Address::authority() const {
  return host.find(':') == std::string::npos ? host + ":" + port : fmt::format("[{}]:{}", host, port);
}

bool Address::is_loopback() const { return host == "localhost" || host == "::1" || host.starts_with("127."); }

std::expected<Address, std::string> parse_address(std::string_view url) {
  Address out;
  const std::size_t end = url.find("://");
  const std::string_view scheme = url.substr(0, end == std::string_view::npos ? 0 : end);
  if (scheme == "https" || scheme == "wss")
    out.tls = true;
  else if (scheme != "http" && scheme != "ws")
    return std::unexpected("the address must begin with http://, https://, ws:// or wss://");
  url.remove_prefix(end + 3);
  if (url.find_first_of("?#@") != std::string_view::npos)
    return std::unexpected("the address must have no user, query or fragment");

  const std::size_t slash = std::min(url.find('/'), url.size());
  std::string_view authority = url.substr(0, slash);
  std::string_view path = url.substr(slash);
  while (path.ends_with('/')) path.remove_suffix(1);
  for (const std::string_view socket : {"/api/ws", "/ws"})
    if (path.ends_with(socket)) {
      path.remove_suffix(socket.size());
      break;
    }
  out.prefix = path;

  const std::size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) return std::unexpected("the address lacks a `]`");
  const std::size_t colon = authority.find(':', bracket);
  out.host = bracket > 0 ? authority.substr(1, bracket - 1) : authority.substr(0, colon);
  out.port = colon == std::string_view::npos ? (out.tls ? "443" : "80") : authority.substr(colon + 1);
  const bool is_number = !out.port.empty() && out.port.size() <= 5 &&
                         out.port.find_first_not_of("0123456789") == std::string::npos;
  if (out.host.empty() || !is_number)
    return std::unexpected("the address needs a host, and a port that is a number");
  return out;
}

}  // namespace tidewire::check
