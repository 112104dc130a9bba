// What the tests of the Verifier share: a moment, a secret, keys, and the shortest way to a verdict.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/test_signer.h"
#include "auth/verifier.h"

namespace tidewire::auth {

inline constexpr std::int64_t kNowS = 1'762'907'034;
inline constexpr Time kNow{.mono_us = 0, .unix_ms = kNowS * 1000};
inline constexpr std::string_view kSecret = "a-secret-of-the-tests-which-is-long-enough";
inline constexpr std::string_view kHs256 = R"({"alg":"HS256"})";

inline Time later(std::int64_t ms) { return {.mono_us = ms * 1000, .unix_ms = kNow.unix_ms + ms}; }

inline std::shared_ptr<const KeyRing> ring_of(std::vector<Key> keys,
                                              JwksState jwks = JwksState::not_configured) {
  return std::make_shared<const KeyRing>(std::move(keys), jwks);
}

inline Key secret_key(std::string kid = "") {
  return *Key::from_secret(std::move(kid), Algorithm::HS256, kSecret);
}

inline Verifier verifier_with(VerifierOptions options,
                              std::shared_ptr<const KeyRing> ring = ring_of({secret_key()})) {
  return Verifier(std::move(options), std::move(ring), std::make_shared<const RevocationList>());
}

// The code of a refusal, or "ok".
inline std::string verdict(Verifier& verifier, std::string_view token, Time now = kNow) {
  const Verifier::Verdict v = verifier.verify(token, now);
  return v ? "ok" : std::string(name_of(v.error().error.code));
}

inline std::string verdict_of_claims(std::string_view claims, VerifierOptions options = {}, Time now = kNow) {
  Verifier verifier = verifier_with(std::move(options));
  return verdict(verifier, hs_token(kSecret, kHs256, claims), now);
}

inline std::string verdict_of_header(std::string_view header) {
  Verifier verifier = verifier_with({});
  return verdict(verifier, hs_token(kSecret, header, R"({"sub":"u"})"));
}

inline const TestSigner& rsa() {
  static const TestSigner signer = TestSigner::rsa();
  return signer;
}
inline const TestSigner& p256() {
  static const TestSigner signer = TestSigner::ec("P-256");
  return signer;
}

}  // namespace tidewire::auth
