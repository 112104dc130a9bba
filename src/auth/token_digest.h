// SipHash-2-4 with a 128-bit result: the name of a verified token in the cache.
//
// A keyed pseudo-random function, so that nobody without the key can find a second token of the same
// name, and no token has to be kept in memory. Pure, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tidewire::auth {

using DigestKey = std::array<std::uint8_t, 16>;  // random, drawn once per process

struct TokenDigest {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const TokenDigest&, const TokenDigest&) = default;
};

TokenDigest digest_of(const DigestKey& key, std::string_view token);

}  // namespace tidewire::auth
