// Tokens: decoding, verifying and forgetting. The input's first byte chooses what is done with the
// rest; two ways wrap it in a valid envelope, so that the fuzzer gets past base64url and signatures.
#include <cstddef>
#include <cstdint>

#include "auth/jwt.h"
#include "auth/test_signer.h"
#include "auth/verifier.h"
#include "base/base64url.h"
#include "base/check.h"

namespace tidewire::auth {
namespace {

constexpr std::string_view kSecret = "fuzz";
constexpr Time kNow{.mono_us = 0, .unix_ms = 1'762'907'034'000};

Verifier make_verifier() {
  std::vector<Key> keys = {*Key::from_secret("", Algorithm::HS256, kSecret),
                           *Key::from_public_key("p", {}, TestSigner::ec("P-256").pkey()),
                           *Key::from_public_key("e", {}, TestSigner::ed25519().pkey())};
  auto ring = std::make_shared<const KeyRing>(std::move(keys), JwksState::never_fetched);
  return Verifier({.name_claim = "name", .preset = Preset::supabase, .cache_entries = 64}, std::move(ring),
                  std::make_shared<const RevocationList>());
}

void check(Verifier& verifier, std::string_view token, bool forged) {
  const Verifier::Verdict first = verifier.verify(token, kNow);
  TIDEWIRE_CHECK(!forged || !first);
  if (!first) {
    TIDEWIRE_CHECK(!first.error().error.message.empty());
    return;
  }
  TIDEWIRE_CHECK(valid_user_id((*first)->user_id));
  TIDEWIRE_CHECK((*first)->grants.size() <= kMaxGrants);
  const Verifier::Verdict second = verifier.verify(token, kNow);  // from the cache
  TIDEWIRE_CHECK(second && *second == *first);
  std::string json;
  append_user_json(json, **first);
  TIDEWIRE_CHECK(parse_json(json, 2).has_value());
  for (const Grant& grant : (*first)->grants) allows({&grant, 1}, Action::publish, "room:a:aaaaaaaaaab");
  // One token, one spelling: whatever decodes is the encoding of what it decodes to.
  const Result<DecodedJwt> jwt = decode_jwt(token);
  TIDEWIRE_CHECK(jwt.has_value());
  const std::size_t cut = token.rfind('.');
  TIDEWIRE_CHECK(tidewire::base64url_encode(jwt->signature) == token.substr(cut + 1));
}

}  // namespace
}  // namespace tidewire::auth

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidewire::auth;
  static Verifier verifier = make_verifier();
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      check(verifier, rest, true);
      break;
    case 1:
      check(verifier, hs_token(kSecret, R"({"alg":"HS256"})", rest), false);
      break;
    case 2: {
      const std::string_view claims = R"({"sub":"u","aud":"authenticated"})";
      check(verifier, hs_token(kSecret, rest, claims), false);
      break;
    }
    default: {
      const std::string token = tidewire::base64url_encode(data[0] & 4 ? R"({"alg":"ES256","kid":"p"})"
                                                                       : R"({"alg":"EdDSA","kid":"e"})") +
                                '.' + tidewire::base64url_encode(R"({"sub":"u","aud":"authenticated"})") +
                                '.' + tidewire::base64url_encode(rest);
      check(verifier, token, true);
    }
  }
  claimed_tenant(rest);
  return 0;
}
