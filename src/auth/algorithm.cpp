#include "auth/algorithm.h"

#include <array>

namespace tidewire::auth {

namespace {

struct Row {
  std::string_view name;
  KeyType key_type;
};
// In the order of the enumeration.
constexpr std::array<Row, 13> kRows = {{
    {"HS256", KeyType::secret},
    {"HS384", KeyType::secret},
    {"HS512", KeyType::secret},
    {"RS256", KeyType::rsa},
    {"RS384", KeyType::rsa},
    {"RS512", KeyType::rsa},
    {"PS256", KeyType::rsa},
    {"PS384", KeyType::rsa},
    {"PS512", KeyType::rsa},
    {"ES256", KeyType::p256},
    {"ES384", KeyType::p384},
    {"ES512", KeyType::p521},
    {"EdDSA", KeyType::ed25519},
}};
const Row& row(Algorithm algorithm) { return kRows[static_cast<std::size_t>(algorithm)]; }

}  // namespace

std::optional<Algorithm> parse_algorithm(std::string_view name) {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].name == name) return static_cast<Algorithm>(i);
  return std::nullopt;
}

std::string_view name_of(Algorithm algorithm) { return row(algorithm).name; }

KeyType key_type_of(Algorithm algorithm) { return row(algorithm).key_type; }

AlgorithmSet algorithms_by_key_type(KeyType type) {
  switch (type) {
    case KeyType::secret:
      return {};
    case KeyType::rsa:
      return {Algorithm::RS256, Algorithm::RS384, Algorithm::RS512,
              Algorithm::PS256, Algorithm::PS384, Algorithm::PS512};
    case KeyType::p256:
      return {Algorithm::ES256};
    case KeyType::p384:
      return {Algorithm::ES384};
    case KeyType::p521:
      return {Algorithm::ES512};
    case KeyType::ed25519:
      return {Algorithm::EdDSA};
  }
  return {};
}

}  // namespace tidewire::auth
