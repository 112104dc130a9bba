#include "guard/limit_key.h"

#include <xxhash.h>

namespace tidewire::guard {

namespace {
// The tenant's hash is the seed of the name's, so no pair of tenant and name can be split in two ways.
LimitKey key_of(std::uint64_t seed, std::string_view tenant, const void* name, std::size_t size) {
  const std::uint64_t world = XXH3_64bits_withSeed(tenant.data(), tenant.size(), seed);
  const XXH128_hash_t hash = XXH3_128bits_withSeed(name, size, world);
  return {.high = hash.high64, .low = hash.low64 | (hash.low64 == 0 && hash.high64 == 0 ? 1u : 0u)};
}
// Users and addresses are different worlds, also where their bytes agree.
constexpr std::uint64_t kUserSalt = 0x7573'6572'0000'0001;
constexpr std::uint64_t kAddressSalt = 0x6164'6472'0000'0002;
constexpr std::uint64_t kTenantSalt = 0x7465'6e61'0000'0003;
}  // namespace

LimitKey LimitKeys::user(std::string_view tenant, std::string_view user) const {
  return key_of(seed_ ^ kUserSalt, tenant, user.data(), user.size());
}

LimitKey LimitKeys::address(const IpAddress& address, std::string_view tenant) const {
  const IpAddress site = address.site();
  return key_of(seed_ ^ kAddressSalt, tenant, site.bytes().data(), site.bytes().size());
}

LimitKey LimitKeys::tenant(std::string_view tenant) const {
  return key_of(seed_ ^ kTenantSalt, tenant, nullptr, 0);
}

}  // namespace tidewire::guard
