#include "base/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tidewire {

namespace {
constexpr std::size_t kLongest = INET6_ADDRSTRLEN;

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  if (text.size() > 5) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size();
}

std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}
}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  // inet_pton wants a terminated string, and would stop at a zero byte inside.
  if (text.size() >= kLongest || text.find('\0') != std::string_view::npos) return std::nullopt;
  char terminated[kLongest] = {};
  text.copy(terminated, text.size());
  std::array<std::uint8_t, 16> v6;
  if (inet_pton(AF_INET6, terminated, v6.data()) == 1) return from_v6(v6);
  std::array<std::uint8_t, 4> v4;
  if (inet_pton(AF_INET, terminated, v4.data()) == 1) return from_v4(v4);
  return std::nullopt;
}

std::optional<IpAddress> IpAddress::parse_with_port(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view behind = text.substr(close + 1);
    if (!behind.empty() && !(behind.front() == ':' && is_port(behind.substr(1)))) return std::nullopt;
    const std::string_view inside = text.substr(1, close - 1);
    // Brackets are for IPv6 alone.
    return inside.find(':') == std::string_view::npos ? std::nullopt : parse(inside);
  }
  const std::size_t colon = text.find(':');
  // One colon is a port's, more are an IPv6 address's own.
  if (colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
    if (!is_port(text.substr(colon + 1))) return std::nullopt;
    text = text.substr(0, colon);
  }
  return parse(text);
}

bool IpAddress::is_v4() const {
  static constexpr std::uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::equal(kMapped, kMapped + 12, bytes_.begin());
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[12] == 127;
  IpAddress one;
  one.bytes_[15] = 1;
  return *this == one;
}

IpAddress IpAddress::masked(int bits) const {
  IpAddress result;
  for (int i = 0; i < 16; ++i) {
    const int kept = std::clamp(bits - 8 * i, 0, 8);
    const auto at = static_cast<std::size_t>(i);
    result.bytes_[at] = static_cast<std::uint8_t>(bytes_[at] & (0xff00u >> kept));
  }
  return result;
}

std::string IpAddress::text() const {
  char buffer[kLongest];
  const bool v4 = is_v4();
  const void* from = v4 ? bytes_.data() + 12 : bytes_.data();
  return inet_ntop(v4 ? AF_INET : AF_INET6, from, buffer, sizeof buffer);
}

std::uint64_t IpAddress::hash(std::uint64_t seed) const {
  std::uint64_t words[2];
  std::memcpy(words, bytes_.data(), 16);
  const std::uint64_t mixed = fold(words[0] ^ seed ^ 0x9e37'79b9'7f4a'7c15, words[1] ^ 0xd1b5'4a32'd192'ed03);
  return fold(mixed ^ seed, 0xa076'1d64'78bd'642f);
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::optional<IpAddress> address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  // `::ffff:10.0.0.0/104` counts in the IPv6 form already, `10.0.0.0/8` does not.
  const bool dotted = text.find(':') == std::string_view::npos;
  IpPrefix prefix;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix.bits_);
    if (error != std::errc() || end != digits.data() + digits.size() || digits.size() > 3)
      return std::nullopt;
    if (prefix.bits_ < 0 || prefix.bits_ > (dotted ? 32 : 128)) return std::nullopt;
    if (dotted) prefix.bits_ += 96;
  }
  prefix.network_ = address->masked(prefix.bits_);
  return prefix;
}

bool IpPrefix::contains(const IpAddress& address) const {
  return address.is_v4() == network_.is_v4() && address.masked(bits_) == network_;
}

std::string IpPrefix::text() const {
  const bool v4 = network_.is_v4();
  return network_.text() + '/' + std::to_string(v4 ? bits_ - 96 : bits_);
}

}  // namespace tidewire
