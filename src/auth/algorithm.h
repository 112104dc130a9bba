// The signature algorithms of RFC 7518 §3.1 and RFC 8037 that a token may use, and sets of them.
//
// `none` is not one of them and can't be spelled here. Value types, any thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace tidewire::auth {

enum class Algorithm : std::uint8_t {
  HS256,
  HS384,
  HS512,
  RS256,
  RS384,
  RS512,
  PS256,
  PS384,
  PS512,
  ES256,
  ES384,
  ES512,
  EdDSA,  // with Ed25519 only
};

// What kind of key an algorithm works with.
enum class KeyType : std::uint8_t { secret, rsa, p256, p384, p521, ed25519 };

// The name in a JOSE header, exactly; any other spelling or case is nullopt.
std::optional<Algorithm> parse_algorithm(std::string_view name);
std::string_view name_of(Algorithm algorithm);

KeyType key_type_of(Algorithm algorithm);

class AlgorithmSet {
 public:
  constexpr AlgorithmSet() = default;
  constexpr AlgorithmSet(std::initializer_list<Algorithm> algorithms) {
    for (const Algorithm a : algorithms) bits_ = static_cast<std::uint16_t>(bits_ | bit(a));
  }
  constexpr bool contains(Algorithm a) const { return (bits_ & bit(a)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr std::uint16_t bits() const { return bits_; }
  friend constexpr bool operator==(AlgorithmSet, AlgorithmSet) = default;

 private:
  static constexpr std::uint16_t bit(Algorithm a) {
    return static_cast<std::uint16_t>(1u << static_cast<unsigned>(a));
  }
  std::uint16_t bits_ = 0;
};

// What a key of this type may verify when nothing names its algorithm. One algorithm where the type
// leaves no choice, RS* and PS* for RSA, nothing for a secret: a secret must say its algorithm.
AlgorithmSet algorithms_by_key_type(KeyType type);

}  // namespace tidewire::auth
