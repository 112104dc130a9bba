// Key sets and key files: what is taken must be a key that keeps its promises.
#include <openssl/err.h>

#include <cstddef>
#include <cstdint>

#include "auth/jwk.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidewire::auth;
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto check = [](const Key& key, bool published) {
    TIDEWIRE_CHECK(!key.algorithms().empty());
    TIDEWIRE_CHECK(!published || key.type() != KeyType::secret);
    for (int i = 0; i <= static_cast<int>(Algorithm::EdDSA); ++i) {
      const auto algorithm = static_cast<Algorithm>(i);
      TIDEWIRE_CHECK(!key.algorithms().contains(algorithm) || key_type_of(algorithm) == key.type());
      TIDEWIRE_CHECK(!key.verifies(algorithm, "input", ""));
      TIDEWIRE_CHECK(!key.verifies(algorithm, "input", std::string(64, '\0')));
    }
  };
  if (data[0] % 2 == 0) {
    if (const auto set = parse_jwks(rest))
      for (const Key& key : set->keys) check(key, true);
  } else {
    const char* const algorithms[] = {"", "RS256", "ES256", "HS256", "EdDSA"};
    const auto key = parse_static_key({.alg = algorithms[(data[0] / 2) % 5], .text = std::string(rest)});
    if (key) check(*key, false);
  }
  TIDEWIRE_CHECK(ERR_peek_error() == 0);
  return 0;
}
