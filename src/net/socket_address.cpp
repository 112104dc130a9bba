#include "net/socket_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace tidewire::net {

namespace {
struct Block {
  std::uint32_t network;
  int bits;
};

// IPv4 blocks that are not globally reachable (RFC 6890 and the IANA registry behind it).
constexpr Block kNotPublic[] = {
    {0x00000000, 8},   // this network
    {0x0A000000, 8},   // private
    {0x64400000, 10},  // shared (carrier-grade NAT)
    {0x7F000000, 8},   // loopback
    {0xA9FE0000, 16},  // link-local, cloud metadata
    {0xAC100000, 12},  // private
    {0xC0000000, 24},  // protocol assignments
    {0xC0000200, 24},  // documentation
    {0xC0586300, 24},  // 6to4 relays
    {0xC0A80000, 16},  // private
    {0xC6120000, 15},  // benchmarking
    {0xC6336400, 24},  // documentation
    {0xCB007100, 24},  // documentation
    {0xE0000000, 3},   // multicast, reserved, broadcast
};

bool v4_is_public(const std::uint8_t* bytes) {
  const std::uint32_t address =
      std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
  return std::ranges::none_of(kNotPublic, [address](const Block& block) {
    return (address ^ block.network) >> (32 - block.bits) == 0;
  });
}

bool starts_with(const std::uint8_t* bytes, std::initializer_list<std::uint8_t> prefix) {
  return std::equal(prefix.begin(), prefix.end(), bytes);
}

bool v6_is_public(const std::uint8_t* bytes) {
  // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to the IPv4 address inside.
  if (starts_with(bytes, {0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0})) return v4_is_public(bytes + 12);
  if (starts_with(bytes, {0x20, 0x02})) return v4_is_public(bytes + 2);
  if (starts_with(bytes, {0x20, 0x01, 0x0D, 0xB8})) return false;         // documentation
  if (starts_with(bytes, {0x20, 0x01}) && bytes[2] < 0x02) return false;  // Teredo, ORCHID and the like
  if (starts_with(bytes, {0x3F, 0xFF}) && bytes[2] < 0x10) return false;  // documentation
  return (bytes[0] & 0xE0) == 0x20;  // 2000::/3 is all that is assigned for global use
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}
}  // namespace

SocketAddress::SocketAddress() {
  std::memset(&address_, 0, sizeof address_);
  address_.v4.sin_family = AF_INET;
}

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return fail(ErrorCode::invalid_message, fmt::format("\"{}\" has no port (ADDRESS:PORT is wanted)", text));
  const std::optional<std::uint16_t> port = parse_port(text.substr(colon + 1));
  if (!port)
    return fail(ErrorCode::invalid_message,
                fmt::format("\"{}\" is no port (0 to 65535)", text.substr(colon + 1)));
  std::string_view host = text.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (bracketed != (host.find(':') != std::string_view::npos))
    return fail(ErrorCode::invalid_message,
                fmt::format("\"{}\": an IPv6 address, and only that, stands in brackets", text));
  return parse_ip(host, *port);
}

Result<SocketAddress> SocketAddress::parse_ip(std::string_view text, std::uint16_t port) {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.size() < sizeof terminated && text.find('\0') == std::string_view::npos) {
    std::copy(text.begin(), text.end(), terminated);
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    if (::inet_pton(AF_INET, terminated, &v4.sin_addr) == 1)
      return from_native(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    if (::inet_pton(AF_INET6, terminated, &v6.sin6_addr) == 1)
      return from_native(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  }
  return fail(ErrorCode::invalid_message, fmt::format("\"{}\" is no IP address", text));
}

SocketAddress SocketAddress::from_native(const sockaddr* address, socklen_t size) {
  SocketAddress result;
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    std::memcpy(&result.address_.v4, address, sizeof(sockaddr_in));
  } else if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      result.address_.v4.sin_port = v6.sin6_port;
      std::memcpy(&result.address_.v4.sin_addr, v6.sin6_addr.s6_addr + 12, 4);
    } else {
      result.address_.v6 = v6;
    }
  }
  return result;
}

SocketAddress SocketAddress::local_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  return from_native(reinterpret_cast<const sockaddr*>(&storage), size);
}

std::string SocketAddress::ip() const {
  char text[INET6_ADDRSTRLEN] = {};
  if (is_v6())
    ::inet_ntop(AF_INET6, &address_.v6.sin6_addr, text, sizeof text);
  else
    ::inet_ntop(AF_INET, &address_.v4.sin_addr, text, sizeof text);
  return text;
}

std::string SocketAddress::to_string() const {
  return is_v6() ? fmt::format("[{}]:{}", ip(), port()) : fmt::format("{}:{}", ip(), port());
}

std::uint16_t SocketAddress::port() const {
  return ntohs(is_v6() ? address_.v6.sin6_port : address_.v4.sin_port);
}

SocketAddress SocketAddress::with_port(std::uint16_t port) const {
  SocketAddress result = *this;
  (is_v6() ? result.address_.v6.sin6_port : result.address_.v4.sin_port) = htons(port);
  return result;
}

bool SocketAddress::is_loopback() const {
  if (is_v6()) return IN6_IS_ADDR_LOOPBACK(&address_.v6.sin6_addr);
  return ip_bytes()[12] == 127;
}

bool SocketAddress::is_public() const {
  const auto bytes = ip_bytes();
  return is_v6() ? v6_is_public(bytes.data()) : v4_is_public(bytes.data() + 12);
}

std::array<std::uint8_t, 16> SocketAddress::ip_bytes() const {
  std::array<std::uint8_t, 16> bytes{};
  if (is_v6()) {
    std::memcpy(bytes.data(), &address_.v6.sin6_addr, 16);
  } else {
    bytes[10] = bytes[11] = 0xFF;
    std::memcpy(bytes.data() + 12, &address_.v4.sin_addr, 4);
  }
  return bytes;
}

}  // namespace tidewire::net
