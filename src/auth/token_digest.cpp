#include "auth/token_digest.h"

#include <bit>
#include <cstring>

namespace tidewire::auth {

namespace {

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

std::uint64_t word_at(const void* bytes) {
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

struct State {
  std::uint64_t v0, v1, v2, v3;

  void mix(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      v0 += v1;
      v2 += v3;
      v1 = std::rotl(v1, 13) ^ v0;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 = std::rotl(v0, 32) + v3;
      v2 += v1;
      v3 = std::rotl(v3, 21) ^ v0;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }
  void absorb(std::uint64_t word) {
    v3 ^= word;
    mix(2);
    v0 ^= word;
  }
  std::uint64_t squeeze() {
    mix(4);
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

TokenDigest digest_of(const DigestKey& key, std::string_view token) {
  const std::uint64_t k0 = word_at(key.data());
  const std::uint64_t k1 = word_at(key.data() + 8);
  // The constants of the SipHash paper; 0xee and 0xdd set the 128-bit variant apart.
  State s{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee, k0 ^ 0x6c7967656e657261,
          k1 ^ 0x7465646279746573};
  std::uint64_t last = static_cast<std::uint64_t>(token.size()) << 56;
  while (token.size() >= 8) {
    s.absorb(word_at(token.data()));
    token.remove_prefix(8);
  }
  for (std::size_t i = 0; i < token.size(); ++i)
    last |= static_cast<std::uint64_t>(static_cast<unsigned char>(token[i])) << (8 * i);
  s.absorb(last);
  s.v2 ^= 0xee;
  TokenDigest digest;
  digest.low = s.squeeze();
  s.v1 ^= 0xdd;
  digest.high = s.squeeze();
  return digest;
}

}  // namespace tidewire::auth
