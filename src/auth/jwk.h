// Reading keys: JWK and JWK Set (RFC 7517, RFC 7518 §6, RFC 8037), PEM public keys and certificates.
//
// Everything is bounded and a bad key in a set costs only that key. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "auth/key.h"

namespace tidewire::auth {

inline constexpr std::size_t kMaxJwksBytes = 512 * 1024;
inline constexpr std::size_t kMaxJwksKeys = 128;

struct JwkSet {
  std::vector<Key> keys = {};
  std::vector<std::string> skipped = {};  // one sentence for each key that was left out, for the log
};

// The public signing keys of a JWK Set. Left out, each with a sentence: `oct` keys, keys not for
// verifying (`use`, `key_ops`), unknown types, curves and algorithms, RSA under 2048 bits, keys that
// are damaged. An error: no JSON, no `keys` array, more than the bounds above.
std::expected<JwkSet, std::string> parse_jwks(std::string_view body);

// One `[[auth.keys]]` entry. `secret` for HS algorithms, else `text`: the content of a PEM or JWK
// file. `alg` may be empty where the JWK names it or the key's type leaves no choice.
struct StaticKeySource {
  std::string alg = {};
  std::string kid = {};     // empty: the JWK's own, or none
  std::string secret = {};  // exactly one of `secret` and `text`
  std::string text = {};
};

// An error is a sentence for the operator that never repeats key material. A private PEM key is
// refused: the server has no use for it, and it should not lie about.
std::expected<Key, std::string> parse_static_key(const StaticKeySource& source);

}  // namespace tidewire::auth
