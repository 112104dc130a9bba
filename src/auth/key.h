// A key that verifies tokens, bound to its algorithms when it is made (RFC 8725 §3.1).
//
// Invariant: every algorithm in `algorithms` fits the key's type, a secret has exactly one, RSA has
// 2048 to 8192 bits and an odd exponent above 1, Ed25519 is not of small order. Immutable and cheap to copy:
// copies share the OpenSSL object, which is only read, so a Key may be used on any thread.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "auth/algorithm.h"

struct evp_pkey_st;
struct evp_mac_ctx_st;

namespace tidewire::auth {

class Key {
 public:
  // Why a key was refused, a sentence for the operator without any key material.
  template <class T>
  using Outcome = std::expected<T, std::string>;

  // A symmetric key of one HS algorithm. Refused: an empty secret, and text that is a PEM file, since
  // verifying HS256 with a public key as secret is how keys get confused.
  static Outcome<Key> from_secret(std::string kid, Algorithm algorithm, std::string_view secret);

  // A public key. `algorithms` empty: by the key's type. Takes a reference of its own to `pkey`.
  static Outcome<Key> from_public_key(std::string kid, AlgorithmSet algorithms, evp_pkey_st* pkey);

  const std::string& kid() const { return kid_; }  // empty: the key has no name
  AlgorithmSet algorithms() const { return algorithms_; }
  KeyType type() const { return type_; }

  // Whether `signature`, raw as in a JWS (r||s for ES), is this key's over `input`. False as well
  // where `algorithm` is not one of the key's.
  bool verifies(Algorithm algorithm, std::string_view input, std::string_view signature) const;

  // The HMAC of `input`, raw: for minting. Only of a secret.
  std::string sign(std::string_view input) const;

  // Two keys with equal fingerprints verify the same tokens. Not reversible.
  const std::array<std::uint8_t, 32>& fingerprint() const { return fingerprint_; }

 private:
  Key() = default;

  std::string kid_;
  AlgorithmSet algorithms_;
  KeyType type_ = KeyType::secret;
  std::array<std::uint8_t, 32> fingerprint_{};
  std::shared_ptr<evp_pkey_st> public_key_;
  std::shared_ptr<evp_mac_ctx_st> mac_;  // holds the secret; duplicated for each use
};

}  // namespace tidewire::auth
