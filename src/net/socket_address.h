// An IP address and port, v4 or v6, as a small value. An IPv4 address mapped into IPv6 is kept as
// IPv4, so one client has one spelling.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tidewire::net {

class SocketAddress {
 public:
  SocketAddress();  // 0.0.0.0:0

  // "127.0.0.1:8080", "[::1]:8080" or "localhost:8080" (127.0.0.1). Port 0 is allowed: the system
  // picks one. Other host names are not looked up. Error: invalid_message, naming what is wrong.
  static Result<SocketAddress> parse(std::string_view text);
  // A bare IP address without port or brackets.
  static Result<SocketAddress> parse_ip(std::string_view text, std::uint16_t port);
  // From the system. Families other than AF_INET and AF_INET6 become 0.0.0.0:0.
  static SocketAddress from_native(const sockaddr* address, socklen_t size);
  static SocketAddress local_of(int fd);

  std::string to_string() const;  // as parse() reads it
  std::string ip() const;         // without port and brackets
  std::uint16_t port() const;
  SocketAddress with_port(std::uint16_t port) const;

  bool is_v6() const { return address_.any.sa_family == AF_INET6; }
  bool is_loopback() const;
  // Reachable over the public Internet: not loopback, private, link-local, shared, multicast,
  // documentation or otherwise reserved (RFC 6890), nor a v6 form that carries such a v4 address.
  bool is_public() const;
  // 16 bytes; IPv4 in its mapped form. For keys of rate limits.
  std::array<std::uint8_t, 16> ip_bytes() const;

  const sockaddr* native() const { return &address_.any; }
  socklen_t native_size() const { return is_v6() ? sizeof(sockaddr_in6) : sizeof(sockaddr_in); }

  friend bool operator==(const SocketAddress& a, const SocketAddress& b) {
    return a.is_v6() == b.is_v6() && a.port() == b.port() && a.ip_bytes() == b.ip_bytes();
  }

 private:
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } address_;
};

}  // namespace tidewire::net
