// What a user or an address is called in the tables that all shards share: 128 bits of a hash keyed
// with a seed of this process.
//
// Computed once per connection, so a message costs no hashing and a table keeps no strings. Clients
// cannot know the seed, hence cannot aim at a bucket of the table; two equal keys for two users are
// as good as impossible (2^-64 with four thousand million users). Value types, usable on any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ip_address.h"

namespace tidewire::guard {

struct LimitKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  // A key that names nothing: an anonymous connection's user, say. It is never limited.
  explicit operator bool() const { return (high | low) != 0; }
  friend bool operator==(const LimitKey&, const LimitKey&) = default;
};

class LimitKeys {
 public:
  explicit LimitKeys(std::uint64_t seed) : seed_(seed) {}

  // `user` in its string form (protocol §1).
  LimitKey user(std::string_view tenant, std::string_view user) const;
  // By IpAddress::site(). With a tenant the address's share in that tenant, without one the address
  // as such: connections are counted before the tenant is known, requests after.
  LimitKey address(const IpAddress& address, std::string_view tenant = {}) const;
  LimitKey tenant(std::string_view tenant) const;

 private:
  std::uint64_t seed_;
};

}  // namespace tidewire::guard
