// An IP address as a value of 16 bytes, and a prefix (CIDR) of such addresses.
//
// Invariant: IPv4 is kept in its IPv6-mapped form (::ffff:a.b.c.d), so a client seen through a
// dual-stack socket and the same client seen through an IPv4 socket are one address. Value types,
// usable on any thread. The default value is `::`, which no client has: it means "not known".
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tidewire {

class IpAddress {
 public:
  constexpr IpAddress() = default;
  // 16 bytes in network order, as in sockaddr_in6.
  static constexpr IpAddress from_v6(std::span<const std::uint8_t, 16> bytes) {
    IpAddress address;
    for (std::size_t i = 0; i < 16; ++i) address.bytes_[i] = bytes[i];
    return address;
  }
  // Four bytes in network order, as in sockaddr_in.
  static constexpr IpAddress from_v4(std::span<const std::uint8_t, 4> bytes) {
    IpAddress address;
    address.bytes_[10] = address.bytes_[11] = 0xff;
    for (std::size_t i = 0; i < 4; ++i) address.bytes_[12 + i] = bytes[i];
    return address;
  }
  // `1.2.3.4` or `2001:db8::1`, nothing around it: no brackets, port, zone or leading zeros in IPv4.
  static std::optional<IpAddress> parse(std::string_view text);
  // As proxies write it: also `1.2.3.4:5`, `[::1]` and `[::1]:5`; the port is checked and dropped.
  static std::optional<IpAddress> parse_with_port(std::string_view text);

  bool is_v4() const;
  bool is_loopback() const;  // 127.0.0.0/8 or ::1
  explicit operator bool() const { return *this != IpAddress(); }

  // The address with all but its first `bits` (0 to 128, counted in the IPv6 form) set to zero.
  IpAddress masked(int bits) const;
  // What one customer holds: the address itself for IPv4, its /64 for IPv6. Limits count by this,
  // since whoever has one IPv6 address has 2^64 of them.
  IpAddress site() const { return is_v4() ? *this : masked(64); }

  // RFC 5952 for IPv6, dotted for IPv4.
  std::string text() const;
  // Keyed by a seed that clients cannot know, for tables whose keys are clients' addresses.
  std::uint64_t hash(std::uint64_t seed) const;
  std::span<const std::uint8_t, 16> bytes() const { return bytes_; }

  friend constexpr bool operator==(const IpAddress&, const IpAddress&) = default;
  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};
static_assert(sizeof(IpAddress) == 16);

// `10.0.0.0/8`, `2001:db8::/32`, or a single address. Bits past the length are ignored.
class IpPrefix {
 public:
  static std::optional<IpPrefix> parse(std::string_view text);

  // An IPv4 address is only ever in an IPv4 prefix: `::/0` means all of IPv6.
  bool contains(const IpAddress& address) const;
  std::string text() const;

  friend bool operator==(const IpPrefix&, const IpPrefix&) = default;

 private:
  IpAddress network_;
  int bits_ = 128;  // counted in the IPv6 form
};

}  // namespace tidewire
