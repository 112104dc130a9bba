#include <gtest/gtest.h>

#include "auth/jwt.h"
#include "auth/verifier_fixture.h"

namespace tidewire::auth {
namespace {

TEST(Verifier, NamesTheFaultInTheFormOfAToken) {
  const std::string good = hs_token(kSecret, kHs256, R"({"sub":"u"})");
  const std::size_t first = good.find('.'), second = good.rfind('.');
  const std::string header = good.substr(0, first), claims = good.substr(first + 1, second - first - 1),
                    signature = good.substr(second + 1);
  const auto with_claims = [&](std::string_view raw) {
    return header + '.' + base64url_encode(raw) + '.' + signature;
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "token_missing"},
      {" ", "token_malformed"},
      {"x", "token_malformed"},
      {".", "token_malformed"},
      {"..", "token_malformed"},
      {"...", "token_malformed"},
      {header, "token_malformed"},
      {header + '.' + claims, "token_malformed"},
      {good + '.', "token_malformed"},
      {good + "..", "token_malformed"},
      {'.' + good, "token_malformed"},
      {good + '.' + signature + '.' + signature, "token_malformed"},  // as a JWE has
      {good + '=', "token_malformed"},
      {good + "==", "token_malformed"},
      {header + "=." + claims + '.' + signature, "token_malformed"},
      {' ' + good, "token_malformed"},
      {good + ' ', "token_malformed"},
      {good + '\n', "token_malformed"},
      {good + '\0', "token_malformed"},
      {header + " ." + claims + '.' + signature, "token_malformed"},
      {header + ".\t" + claims + '.' + signature, "token_malformed"},
      {header + '.' + claims + '.' + signature.substr(0, 10) + "+" + signature.substr(11), "token_malformed"},
      {header + '.' + claims + '.' + signature.substr(0, 10) + "/" + signature.substr(11), "token_malformed"},
      {header + '.' + claims + '.' + signature.substr(0, 10) + "%" + signature.substr(11), "token_malformed"},
      {header + '.' + claims + '.' + "AAAAA", "token_malformed"},  // no length of any bytes
      {header + '.' + claims + '.', "token_invalid"},              // no signature
      {header + '.' + claims + '.' + "AA", "token_invalid"},
      {header + '.' + claims + '.' + signature.substr(0, signature.size() - 2), "token_malformed"},
      {header + '.' + claims + '.' + signature + signature, "token_malformed"},
      {header + ".." + signature, "token_malformed"},
      {'.' + claims + '.' + signature, "token_malformed"},
      {with_claims(""), "token_malformed"},
      {with_claims("null"), "token_malformed"},
      {with_claims("[]"), "token_malformed"},
      {with_claims("\"u\""), "token_malformed"},
      {with_claims("{\"sub\":\"u\""), "token_malformed"},
      {with_claims("{\"sub\":\"u\"} x"), "token_malformed"},
      {with_claims("\xEF\xBB\xBF{\"sub\":\"u\"}"), "token_malformed"},
      {with_claims(std::string_view("{\"sub\":\"u\"}\0", 12)), "token_malformed"},
      {with_claims("{\"sub\":\"\xff\"}"), "token_malformed"},
      {with_claims("{\"sub\":\"u\",\"sub\":\"v\"}"), "token_malformed"},
      {with_claims("{\"exp\":\"1\"}"), "token_malformed"},  // told before the signature is looked at
      {with_claims("{\"sub\":\"admin\"}"), "token_invalid"},
      {"Bearer " + good, "token_malformed"},
      {std::string(kMaxTokenBytes + 1, 'a'), "token_malformed"},
      {std::string(100'000, '.'), "token_malformed"},
      {good, "ok"},
  };
  Verifier verifier = verifier_with({});
  for (const auto& [token, code] : cases) EXPECT_EQ(verdict(verifier, token), code) << token.substr(0, 200);
}

TEST(Verifier, RefusesANonCanonicalLastCharacter) {
  // 32 bytes of HMAC leave four unused bits in the last character: sixteen spellings of one signature.
  const std::string good = hs_token(kSecret, kHs256, R"({"sub":"u"})");
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  Verifier verifier = verifier_with({});
  int accepted = 0;
  for (const char c : kAlphabet) {
    std::string token = good;
    token.back() = c;
    accepted += verdict(verifier, token) == "ok";
  }
  EXPECT_EQ(accepted, 1);
}

TEST(Verifier, RefusesEveryTokenWithOneBitChanged) {
  const std::string good =
      p256().token(Algorithm::ES256, R"({"alg":"ES256"})", R"({"sub":"u","exp":1762910634})");
  Verifier verifier = verifier_with({}, ring_of({*Key::from_public_key("", {}, p256().pkey())}));
  ASSERT_EQ(verdict(verifier, good), "ok");
  for (std::size_t i = 0; i < good.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string token = good;
      token[i] = static_cast<char>(token[i] ^ (1 << bit));
      EXPECT_NE(verdict(verifier, token), "ok") << i << '.' << bit;
    }
}

TEST(Verifier, RefusesEveryTruncation) {
  const std::string good = hs_token(kSecret, kHs256, R"({"sub":"u"})");
  Verifier verifier = verifier_with({});
  for (std::size_t n = 0; n < good.size(); ++n) EXPECT_NE(verdict(verifier, good.substr(0, n)), "ok") << n;
}

TEST(Verifier, RefusesNoneInEverySpelling) {
  for (const char* alg :
       {"none", "None", "NONE", "nOnE", "none ", " none", "none\\u0000", "", "null", "NULL"}) {
    const std::string header = fmt::format(R"({{"alg":"{}"}})", alg);
    EXPECT_EQ(verdict_of_header(header), "token_invalid") << alg;
    Verifier verifier = verifier_with({});
    const std::string unsigned_token =
        base64url_encode(header) + '.' + base64url_encode(R"({"sub":"u"})") + '.';
    EXPECT_EQ(verdict(verifier, unsigned_token), "token_invalid") << alg;
    Verifier keyless = verifier_with({}, ring_of({}));
    EXPECT_EQ(verdict(keyless, unsigned_token), "token_invalid") << alg;
  }
}

TEST(Verifier, RefusesHeadersThatAreNotOurs) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"alg":"HS256","typ":"JWT"})", "ok"},
      {R"({"typ":"JWT","alg":"HS256","jku":"http://127.0.0.1/","x5u":"a","jwk":{"kty":"oct","k":"AA"},"x5c":[]})",
       "ok"},
      {"{\"alg\" : \"HS256\",\r\n \"typ\":\"JWT\"}", "ok"},
      {R"({})", "token_invalid"},
      {R"({"alg":null})", "token_invalid"},
      {R"({"alg":256})", "token_invalid"},
      {R"({"alg":["HS256"]})", "token_invalid"},
      {R"({"alg":"hs256"})", "token_invalid"},
      {R"({"alg":"HS256 "})", "token_invalid"},
      {R"({"alg":"HS1"})", "token_invalid"},
      {R"({"alg":"HS384"})", "token_invalid"},  // not the key's algorithm
      {R"({"alg":"RS256"})", "token_invalid"},
      {R"({"alg":"ES256K"})", "token_invalid"},
      {R"({"alg":"A128KW"})", "token_invalid"},
      {R"({"ALG":"HS256"})", "token_invalid"},
      {R"({"alg":"HS256","crit":["b64"],"b64":false})", "token_invalid"},
      {R"({"alg":"HS256","crit":["exp"]})", "token_invalid"},
      {R"({"alg":"HS256","crit":[]})", "token_invalid"},
      {R"({"alg":"HS256","crit":null})", "token_invalid"},
      {R"({"alg":"HS256","kid":"nobody"})", "token_invalid"},
      {R"({"alg":"HS256","kid":""})", "token_invalid"},
      {R"({"alg":"HS256","kid":null})", "token_invalid"},
      {R"({"alg":"HS256","kid":1})", "token_invalid"},
      {R"({"alg":"HS256","kid":["a"]})", "token_invalid"},
      {R"({"alg":"HS256","kid":"../../../../dev/null"})", "token_invalid"},
      {R"({"alg":"HS256","kid":"' UNION SELECT 'x' -- "})", "token_invalid"},
      {R"({"alg":"HS256","alg":"HS256"})", "token_malformed"},
      {R"({"alg":"none","alg":"HS256"})", "token_malformed"},
      {R"({"alg":"HS256","\u0061lg":"none"})", "token_malformed"},
      {R"(["HS256"])", "token_malformed"},
      {R"("HS256")", "token_malformed"},
  };
  for (const auto& [header, code] : cases) EXPECT_EQ(verdict_of_header(header), code) << header;
}

TEST(Verifier, RefusesAPublicKeyUsedAsSecret) {
  for (const std::string& secret : {rsa().public_pem(), rsa().jwk()}) {
    for (const Algorithm a : {Algorithm::HS256, Algorithm::HS384, Algorithm::HS512}) {
      std::string token = base64url_encode(fmt::format(R"({{"alg":"{}","kid":"k"}})", name_of(a))) + '.' +
                          base64url_encode(R"({"sub":"u"})");
      unsigned char mac[EVP_MAX_MD_SIZE];
      std::size_t size = 0;
      const char* hash = a == Algorithm::HS256 ? "SHA256" : a == Algorithm::HS384 ? "SHA384" : "SHA512";
      ASSERT_NE(EVP_Q_mac(nullptr, "HMAC", nullptr, hash, nullptr, secret.data(), secret.size(),
                          reinterpret_cast<const unsigned char*>(token.data()), token.size(), mac, sizeof mac,
                          &size),
                nullptr);
      token += '.' + base64url_encode({reinterpret_cast<const char*>(mac), size});
      for (const AlgorithmSet allowed : {AlgorithmSet{}, AlgorithmSet{Algorithm::RS256}}) {
        Verifier verifier = verifier_with({}, ring_of({*Key::from_public_key("k", allowed, rsa().pkey())}));
        EXPECT_EQ(verdict(verifier, token), "token_invalid");
        EXPECT_EQ(verifier.counts().signatures, 0u);
      }
    }
  }
}

TEST(Verifier, RefusesAnotherAlgorithmOfTheSameKey) {
  Verifier verifier =
      verifier_with({}, ring_of({*Key::from_public_key("k", {Algorithm::RS256}, rsa().pkey())}));
  for (const Algorithm a : {Algorithm::RS384, Algorithm::RS512, Algorithm::PS256}) {
    const std::string header = fmt::format(R"({{"alg":"{}","kid":"k"}})", name_of(a));
    EXPECT_EQ(verdict(verifier, rsa().token(a, header, R"({"sub":"u"})")), "token_invalid") << header;
  }
  EXPECT_EQ(
      verdict(verifier, rsa().token(Algorithm::RS256, R"({"alg":"RS256","kid":"k"})", R"({"sub":"u"})")),
      "ok");
}

TEST(Verifier, RefusesEcdsaSignaturesInEveryWrongShape) {
  const std::string input = base64url_encode(R"({"alg":"ES256"})") + '.' + base64url_encode(R"({"sub":"u"})");
  const std::string good = p256().sign(Algorithm::ES256, input);
  const std::string n =
      *base64url_decode("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE");  // the order of P-256
  const std::string zero(32, '\0'), one = std::string(31, '\0') + '\x01';
  Verifier verifier = verifier_with({}, ring_of({*Key::from_public_key("", {}, p256().pkey())}));
  const auto with = [&](const std::string& signature) {
    return verdict(verifier, input + '.' + base64url_encode(signature));
  };
  for (const std::string& bad :
       {zero + zero, zero + one, one + zero, n + n, n + one, one + n, n + zero, one + one, good.substr(0, 63),
        good + '\0', '\0' + good, good + good, good.substr(0, 32) + n, std::string(),
        p256().sign(Algorithm::ES256, input, true), std::string(132, '\x01'),
        good.substr(32) + good.substr(0, 32)})
    EXPECT_EQ(with(bad), "token_invalid") << base64url_encode(bad);
  EXPECT_EQ(with(good), "ok");
}

TEST(Verifier, TriesABoundedNumberOfKeys) {
  std::vector<Key> keys;
  for (int i = 0; i < 50; ++i)
    keys.push_back(*Key::from_secret("", Algorithm::HS256, "s" + std::to_string(i)));
  Verifier verifier = verifier_with({}, ring_of(std::move(keys)));
  EXPECT_EQ(verdict(verifier, hs_token("other", kHs256, R"({"sub":"u"})")), "token_invalid");
  EXPECT_EQ(verifier.counts().signatures, KeyRing::kMaxCandidates);
}

TEST(Verifier, WithoutAnyKeyEveryTokenIsInvalid) {
  Verifier verifier = verifier_with({}, ring_of({}));
  const auto v = verifier.verify(hs_token(kSecret, kHs256, R"({"sub":"u"})"), kNow);
  ASSERT_FALSE(v);
  EXPECT_EQ(v.error().error.code, ErrorCode::token_invalid);
  EXPECT_THAT(v.error().error.message, testing::HasSubstr("no key"));
}

TEST(Verifier, SaysNothingOfTheTokenInItsMessages) {
  Verifier verifier = verifier_with({.issuer = "me"});
  for (const char* claims : {R"({"sub":"confidential"})", R"({"sub":"confidential","iss":"confidential"})",
                             R"({"exp":"confidential"})"}) {
    const auto v = verifier.verify(hs_token(kSecret, kHs256, claims), kNow);
    ASSERT_FALSE(v);
    EXPECT_THAT(v.error().error.message, testing::Not(testing::HasSubstr("confidential")));
  }
}

}  // namespace
}  // namespace tidewire::auth
