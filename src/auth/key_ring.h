// The keys of one tenant: static ones from the configuration, and a key set fetched from a URL.
//
// Immutable: a rotation makes a new ring, which replaces the old one as a whole in every Verifier.
// So a `shared_ptr<const KeyRing>` may be used on any thread without a lock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/key.h"

namespace tidewire::auth {

// Whether a tenant has a JWKS URL (`auth.jwks_url`), and whether it was ever read.
enum class JwksState : std::uint8_t { not_configured, never_fetched, fetched };

class KeyRing {
 public:
  KeyRing() = default;
  // `jwks` is not_configured or never_fetched.
  KeyRing(std::vector<Key> static_keys, JwksState jwks);

  // The same static keys with this key set in place of the one before.
  std::shared_ptr<const KeyRing> with_jwks(std::vector<Key> keys) const;

  JwksState jwks_state() const { return jwks_; }
  bool empty() const { return static_keys_.empty() && jwks_keys_.empty(); }

  // The keys that may have signed a token with this header, at most kMaxCandidates. With a `kid` only
  // keys of that name, without one every key that has the algorithm; `nameless` adds keys without a
  // name where a token has a `kid`.
  static constexpr std::size_t kMaxCandidates = 8;
  enum class Nameless : std::uint8_t { only_without_kid, always };
  std::vector<const Key*> candidates(const std::optional<std::string>& kid, Algorithm algorithm,
                                     Nameless nameless) const;

  // Whether some key has this name, whatever its algorithm.
  bool knows(std::string_view kid) const;

  // Equal for rings that verify the same tokens.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  void take_fingerprint();

  std::vector<Key> static_keys_;
  std::vector<Key> jwks_keys_;
  JwksState jwks_ = JwksState::not_configured;
  std::string fingerprint_;
};

}  // namespace tidewire::auth
