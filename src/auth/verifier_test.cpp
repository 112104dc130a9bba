#include "auth/verifier.h"

#include <gtest/gtest.h>

#include "auth/jwt.h"
#include "auth/test_signer.h"

namespace tidewire::auth {
namespace {

constexpr std::int64_t kNowS = 1'762'907'034;
constexpr Time kNow{.mono_us = 0, .unix_ms = kNowS * 1000};
constexpr std::string_view kSecret = "a-secret-of-the-tests-which-is-long-enough";
constexpr std::string_view kHs256 = R"({"alg":"HS256"})";

Time later(std::int64_t ms) { return {.mono_us = ms * 1000, .unix_ms = kNow.unix_ms + ms}; }

std::shared_ptr<const KeyRing> ring_of(std::vector<Key> keys, JwksState jwks = JwksState::not_configured) {
  return std::make_shared<const KeyRing>(std::move(keys), jwks);
}

Key secret_key(std::string kid = "") { return *Key::from_secret(std::move(kid), Algorithm::HS256, kSecret); }

Verifier verifier_with(VerifierOptions options,
                       std::shared_ptr<const KeyRing> ring = ring_of({secret_key()})) {
  return Verifier(std::move(options), std::move(ring), std::make_shared<const RevocationList>());
}

// The code of a refusal, or "ok".
std::string verdict(Verifier& verifier, std::string_view token, Time now = kNow) {
  const Verifier::Verdict v = verifier.verify(token, now);
  return v ? "ok" : std::string(name_of(v.error().error.code));
}

std::string verdict_of_claims(std::string_view claims, VerifierOptions options = {}, Time now = kNow) {
  Verifier verifier = verifier_with(std::move(options));
  return verdict(verifier, hs_token(kSecret, kHs256, claims), now);
}

std::string verdict_of_header(std::string_view header) {
  Verifier verifier = verifier_with({});
  return verdict(verifier, hs_token(kSecret, header, R"({"sub":"u"})"));
}

const TestSigner& rsa() {
  static const TestSigner signer = TestSigner::rsa();
  return signer;
}
const TestSigner& p256() {
  static const TestSigner signer = TestSigner::ec("P-256");
  return signer;
}

TEST(Verifier, TakesEveryAlgorithm) {
  for (const Algorithm a :
       {Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384,
        Algorithm::PS512, Algorithm::ES256, Algorithm::ES384, Algorithm::ES512, Algorithm::EdDSA}) {
    const TestSigner signer = key_type_of(a) == KeyType::rsa ? rsa() : TestSigner::of(a);
    Verifier verifier = verifier_with({}, ring_of({*Key::from_public_key("k", {a}, signer.pkey())}));
    const std::string header = fmt::format(R"({{"alg":"{}","kid":"k","typ":"JWT"}})", name_of(a));
    std::string token = signer.token(a, header, R"({"sub":"u"})");
    EXPECT_EQ(verdict(verifier, token), "ok") << header;
    EXPECT_EQ(verdict(verifier, token), "ok") << header;
    EXPECT_EQ(verifier.counts().signatures, 1u);
    EXPECT_EQ(verdict(verifier, TestSigner::of(a).token(a, header, R"({"sub":"u"})")), "token_invalid")
        << header;
  }
  for (const Algorithm a : {Algorithm::HS256, Algorithm::HS384, Algorithm::HS512}) {
    Verifier verifier = verifier_with({}, ring_of({*Key::from_secret("", a, kSecret)}));
    const std::string header = fmt::format(R"({{"alg":"{}"}})", name_of(a));
    EXPECT_EQ(verdict(verifier, hs_token(kSecret, header, R"({"sub":"u"})", a)), "ok") << header;
    EXPECT_EQ(verdict(verifier, hs_token("other", header, R"({"sub":"u"})", a)), "token_invalid") << header;
  }
}

TEST(Verifier, ReturnsTheIdentityThatTheClaimsSay) {
  Verifier verifier = verifier_with({.name_claim = "nick"});
  const auto identity = verifier.verify(
      hs_token(kSecret, kHs256,
               R"({"sub":42,"type":"creator","nick":"Ada","iat":1762907000,"exp":1762910634.5,)"
               R"("tidewire":{"tenant":"default","grants":[{"channels":"doc:*","do":["publish"]}]}})"),
      kNow);
  ASSERT_TRUE(identity);
  const Identity& who = **identity;
  EXPECT_EQ(who.user_id, "42");
  EXPECT_TRUE(who.id_is_number);
  EXPECT_EQ(who.type, "creator");
  EXPECT_EQ(who.name, "Ada");
  EXPECT_EQ(who.tenant, "default");
  EXPECT_EQ(who.issued_at_ms, 1'762'907'000'000);
  EXPECT_EQ(who.expires_at_ms, 1'762'910'634'500);
  EXPECT_TRUE(who.allows(Action::publish, "doc:1"));
}

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

TEST(Verifier, JudgesTimesToTheMillisecond) {
  const auto at = [](std::int64_t ms) { return later(ms); };
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1762907035})", {}, at(999)), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1762907035})", {}, at(1000)), "token_expired");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1762907035})", {.leeway_ms = 5000}, at(5999)), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1762907035})", {.leeway_ms = 5000}, at(6000)),
            "token_expired");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1762907034.5})", {}, at(499)), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1762907034.5})", {}, at(500)), "token_expired");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","nbf":1762907035})", {}, at(999)), "token_not_yet_valid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","nbf":1762907035})", {}, at(1000)), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","nbf":1762907035})", {.leeway_ms = 1000}, at(0)), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","iat":1962907035})"), "ok");
}

TEST(Verifier, TakesEveryNumberAsATimeAndNothingElse) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"sub":"u"})", "ok"},
      {R"({"sub":"u","exp":0})", "token_expired"},
      {R"({"sub":"u","exp":-1})", "token_expired"},
      {R"({"sub":"u","exp":-1e300})", "token_expired"},
      {R"({"sub":"u","exp":1e300})", "ok"},
      {R"({"sub":"u","exp":9223372036854775807})", "ok"},
      {R"({"sub":"u","exp":-9223372036854775808})", "token_expired"},
      {R"({"sub":"u","exp":18446744073709551615})", "ok"},
      {R"({"sub":"u","exp":99999999999999999999999999})", "ok"},
      {R"({"sub":"u","exp":1e400})", "token_malformed"},  // no finite number
      {R"({"sub":"u","exp":"1962907035"})", "token_malformed"},
      {R"({"sub":"u","exp":null})", "token_malformed"},
      {R"({"sub":"u","exp":true})", "token_malformed"},
      {R"({"sub":"u","exp":[1962907035]})", "token_malformed"},
      {R"({"sub":"u","exp":{}})", "token_malformed"},
      {R"({"sub":"u","exp":NaN})", "token_malformed"},
      {R"({"sub":"u","exp":0x7fffffff})", "token_malformed"},
      {R"({"sub":"u","nbf":"1"})", "token_malformed"},
      {R"({"sub":"u","nbf":1e300})", "token_not_yet_valid"},
      {R"({"sub":"u","nbf":-5})", "ok"},
      {R"({"sub":"u","iat":"now"})", "token_malformed"},
      {R"({"sub":"u","iat":false})", "token_malformed"},
      {R"({"sub":"u","exp":1962907035,"exp":1})", "token_malformed"},
      {R"({"sub":"u","EXP":1})", "ok"},
  };
  for (const auto& [claims, code] : cases) EXPECT_EQ(verdict_of_claims(claims), code) << claims;
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u"})", {.require_exp = true}), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1e300})", {.require_exp = true}), "ok");
}

TEST(Verifier, TakesOnlyUserIdsOfTheProtocol) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"(1)", "ok"},
      {R"(0)", "ok"},
      {R"(-7)", "ok"},
      {R"("1")", "ok"},
      {R"("a.b_c-d:e@f=g,h;i!j~k+l/m#n")", "ok"},
      {R"(9007199254740991)", "ok"},
      {R"(9007199254740992)", "token_invalid"},
      {R"(-9007199254740992)", "token_invalid"},
      {R"(9223372036854775808)", "token_invalid"},
      {R"(1.0)", "token_invalid"},
      {R"(1e3)", "token_invalid"},
      {R"(1E0)", "token_invalid"},
      {R"("")", "token_invalid"},
      {R"("a b")", "token_invalid"},
      {R"("a*")", "token_invalid"},
      {R"("{user}")", "token_invalid"},
      {R"("a\u0000")", "token_invalid"},
      {R"("a\n")", "token_invalid"},
      {R"("\u00e9")", "token_invalid"},
      {R"(null)", "token_invalid"},
      {R"(true)", "token_invalid"},
      {R"(["u"])", "token_invalid"},
      {R"({"id":"u"})", "token_invalid"},
  };
  for (const auto& [id, code] : cases) EXPECT_EQ(verdict_of_claims(R"({"sub":)" + id + "}"), code) << id;
  EXPECT_EQ(verdict_of_claims(R"({"sub":")" + std::string(200, 'u') + "\"}"), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":")" + std::string(201, 'u') + "\"}"), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"user_id":"u"})"), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"user_id":"u"})", {.user_claim = "user_id"}), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u"})", {.user_claim = "user_id"}), "token_invalid");
}

TEST(Verifier, RefusesWrongTypesInClaimsThatAreUsed) {
  for (const char* claims :
       {R"({"sub":"u","type":5})", R"({"sub":"u","type":null})", R"({"sub":"u","type":""})",
        R"({"sub":"u","type":["creator"]})", R"({"sub":"u","tidewire":[]})", R"({"sub":"u","tidewire":null})",
        R"({"sub":"u","tidewire":{"grants":{}}})", R"({"sub":"u","tidewire":{"grants":[{"channels":"a"}]}})",
        R"({"sub":"u","tidewire":{"tenant":1}})"})
    EXPECT_EQ(verdict_of_claims(claims), "token_invalid") << claims;
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","nick":5})", {.name_claim = "nick"}), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","nick":null})", {.name_claim = "nick"}), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","iss":5,"aud":5,"name":5,"jti":[]})"), "ok");  // not used
}

TEST(Verifier, ChecksIssuerAudienceAndTenant) {
  const VerifierOptions issuer{.issuer = "https://issuer"};
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","iss":"https://issuer"})", issuer), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","iss":"https://issuer/"})", issuer), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","iss":["https://issuer"]})", issuer), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u"})", issuer), "token_invalid");
  const VerifierOptions audience{.audience = {"a", "b"}};
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","aud":"b"})", audience), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","aud":["x","a"]})", audience), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","aud":["x",["a"]]})", audience), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","aud":{"a":"a"}})", audience), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","aud":[]})", audience), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","aud":"A"})", audience), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u"})", audience), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","tidewire":{"tenant":"acme"}})", {.tenant = "acme"}), "ok");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","tidewire":{"tenant":"acme"}})"), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u"})", {.tenant = "acme"}), "ok");
}

TEST(Verifier, PermanentFaultsAreNamedBeforePassingOnes) {
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1,"iss":"x"})", {.issuer = "y"}), "token_invalid");
  EXPECT_EQ(verdict_of_claims(R"({"sub":"u","exp":1,"nbf":1962907035})"), "token_expired");
  Verifier verifier = verifier_with({});
  EXPECT_EQ(verdict(verifier, hs_token("other", kHs256, R"({"sub":"u","exp":1})")), "token_invalid");
}

TEST(Verifier, KnowsTheHabitsOfSupabase) {
  const VerifierOptions supabase{.preset = Preset::supabase};
  // Its secret has no name here, but its tokens carry one.
  const std::string header = R"({"alg":"HS256","kid":"hSjvaAClMVk7YbMH","typ":"JWT"})";
  const std::string claims =
      R"("iss":"https://p.supabase.co/auth/v1","sub":"123e4567-e89b-12d3-a456-426614174000","role":"authenticated",)"
      R"("email":"a@b.c","aud":"authenticated","exp":1762910634,"iat":1762907034,"is_anonymous":false,)"
      R"("app_metadata":{"provider":"email","tidewire":{"grants":[{"channels":"doc:*","do":["publish"]}]}},)"
      R"("user_metadata":{"type":"admin","tidewire":{"grants":[{"channels":"*","do":["publish"]}]}})";
  Verifier verifier = verifier_with(supabase);
  const auto identity = verifier.verify(hs_token(kSecret, header, "{" + claims + "}"), kNow);
  ASSERT_TRUE(identity) << identity.error().error.message;
  EXPECT_EQ((*identity)->user_id, "123e4567-e89b-12d3-a456-426614174000");
  EXPECT_EQ((*identity)->type, "authenticated");
  EXPECT_TRUE((*identity)->allows(Action::publish, "doc:1"));
  EXPECT_FALSE((*identity)->allows(Action::publish, "room:1"));

  const auto own_type =
      verifier.verify(hs_token(kSecret, header, R"({"type":"creator",)" + claims + "}"), kNow);
  ASSERT_TRUE(own_type);
  EXPECT_EQ((*own_type)->type, "creator");

  const auto code = [&](std::string_view other) {
    return verdict(verifier, hs_token(kSecret, header, other));
  };
  EXPECT_EQ(code(R"({"iss":"supabase","role":"anon","iat":1})"), "token_invalid");
  EXPECT_EQ(code(R"({"sub":"u","aud":"anon","role":"anon"})"), "token_invalid");
  EXPECT_EQ(code(R"({"sub":"u","aud":"authenticated","app_metadata":{"tidewire":5}})"), "token_invalid");
  EXPECT_EQ(code(R"({"sub":"u","aud":"authenticated"})"), "ok");

  Verifier other = verifier_with({.audience = {"mine"}, .preset = Preset::supabase});
  EXPECT_EQ(verdict(other, hs_token(kSecret, header, R"({"sub":"u","aud":"mine"})")), "ok");
  EXPECT_EQ(verdict(other, hs_token(kSecret, header, R"({"sub":"u","aud":"authenticated"})")),
            "token_invalid");
  // Without the preset nothing is read from app_metadata.
  Verifier plain = verifier_with({});
  const auto without = plain.verify(hs_token(kSecret, kHs256, "{" + claims + "}"), kNow);
  ASSERT_TRUE(without);
  EXPECT_TRUE((*without)->grants.empty());
  EXPECT_EQ((*without)->type, "user");
}

TEST(Verifier, FindsTheKeyByNameAndWithoutNameByTrial) {
  const TestSigner a = TestSigner::ec("P-256"), b = TestSigner::ec("P-256");
  Verifier verifier = verifier_with(
      {}, ring_of({*Key::from_public_key("a", {}, a.pkey()), *Key::from_public_key("b", {}, b.pkey())}));
  const std::string claims = R"({"sub":"u"})";
  EXPECT_EQ(verdict(verifier, b.token(Algorithm::ES256, R"({"alg":"ES256","kid":"b"})", claims)), "ok");
  EXPECT_EQ(verifier.counts().signatures, 1u);
  EXPECT_EQ(verdict(verifier, b.token(Algorithm::ES256, R"({"alg":"ES256"})", claims)), "ok");
  EXPECT_EQ(verdict(verifier, b.token(Algorithm::ES256, R"({"alg":"ES256","kid":"a"})", claims)),
            "token_invalid");
  EXPECT_EQ(verdict(verifier, b.token(Algorithm::ES256, R"({"alg":"ES256","kid":"B"})", claims)),
            "token_invalid");
}

TEST(Verifier, TriesABoundedNumberOfKeys) {
  std::vector<Key> keys;
  for (int i = 0; i < 50; ++i)
    keys.push_back(*Key::from_secret("", Algorithm::HS256, "s" + std::to_string(i)));
  Verifier verifier = verifier_with({}, ring_of(std::move(keys)));
  EXPECT_EQ(verdict(verifier, hs_token("other", kHs256, R"({"sub":"u"})")), "token_invalid");
  EXPECT_EQ(verifier.counts().signatures, KeyRing::kMaxCandidates);
}

TEST(Verifier, AsksForKeysOnlyWhereAPublishedSetCouldHelp) {
  const std::string token =
      p256().token(Algorithm::ES256, R"({"alg":"ES256","kid":"new"})", R"({"sub":"u"})");
  const std::string nameless = p256().token(Algorithm::ES256, R"({"alg":"ES256"})", R"({"sub":"u"})");
  const auto waiting = ring_of({secret_key("static")}, JwksState::never_fetched);
  Verifier verifier = verifier_with({}, waiting);
  for (const std::string& t : {token, nameless}) {
    const auto before = verifier.verify(t, kNow);
    ASSERT_FALSE(before);
    EXPECT_TRUE(before.error().needs_keys);
    EXPECT_EQ(before.error().error.code, ErrorCode::unavailable);
    EXPECT_GT(before.error().error.retry_after_ms, 0);
  }

  verifier.set_keys(waiting->with_jwks({}));
  const auto unknown = verifier.verify(token, kNow);
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(unknown.error().needs_keys);
  EXPECT_EQ(unknown.error().error.code, ErrorCode::token_invalid);
  EXPECT_FALSE(verifier.verify(nameless, kNow).error().needs_keys);

  verifier.set_keys(waiting->with_jwks({*Key::from_public_key("new", {}, p256().pkey())}));
  EXPECT_TRUE(verifier.verify(token, kNow));
  EXPECT_TRUE(verifier.verify(nameless, kNow));

  const auto no_fetch = [&](std::string_view t) {
    const auto v = verifier.verify(t, kNow);
    EXPECT_FALSE(v);
    EXPECT_FALSE(v.error().needs_keys) << t;
    EXPECT_EQ(v.error().error.code, ErrorCode::token_invalid);
  };
  verifier.set_keys(waiting);
  no_fetch(
      hs_token("other", R"({"alg":"HS256","kid":"unheard"})", R"({"sub":"u"})"));  // a set holds no secrets
  no_fetch(p256().token(Algorithm::ES256, R"({"alg":"ES256","kid":"static"})", R"({"sub":"u"})"));
  verifier.set_keys(waiting->with_jwks({*Key::from_public_key("new", {}, p256().pkey())}));
  no_fetch(
      TestSigner::ec("P-256").token(Algorithm::ES256, R"({"alg":"ES256","kid":"new"})", R"({"sub":"u"})"));
  no_fetch(rsa().token(Algorithm::RS256, R"({"alg":"RS256","kid":"new"})", R"({"sub":"u"})"));
  verifier.set_keys(ring_of({}));
  no_fetch(token);
}

TEST(Verifier, StaticKeysServeWhileTheSetIsAway) {
  Verifier verifier = verifier_with({}, ring_of({secret_key()}, JwksState::never_fetched));
  EXPECT_EQ(verdict(verifier, hs_token(kSecret, kHs256, R"({"sub":"u"})")), "ok");
}

TEST(Verifier, RemembersATokenUntilItEnds) {
  Verifier verifier = verifier_with({});
  const std::string token = hs_token(kSecret, kHs256, R"({"sub":"u","nbf":1762907034,"exp":1762907044})");
  const auto first = verifier.verify(token, kNow);
  const auto second = verifier.verify(token, later(9999));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(verifier.counts().hits, 1u);
  EXPECT_EQ(verifier.counts().signatures, 1u);
  EXPECT_EQ(verdict(verifier, token, later(-1)), "token_not_yet_valid");
  EXPECT_EQ(verdict(verifier, token, later(10'000)), "token_expired");
  EXPECT_EQ(verifier.cached(), 0u);
  EXPECT_EQ(verdict(verifier, token, later(10'000)), "token_expired");
}

TEST(Verifier, RemembersNoTokenThatItRefused) {
  Verifier verifier = verifier_with({});
  verdict(verifier, hs_token("other", kHs256, R"({"sub":"u"})"));
  verdict(verifier, hs_token(kSecret, kHs256, R"({"sub":"u","exp":1})"));
  verdict(verifier, hs_token(kSecret, kHs256, R"({"sub":"*"})"));
  EXPECT_EQ(verifier.cached(), 0u);
}

TEST(Verifier, RevocationReachesTokensThatItRemembers) {
  auto revocations = std::make_shared<RevocationList>();
  Verifier verifier({}, ring_of({secret_key()}), revocations);
  const std::string token = hs_token(kSecret, kHs256, R"({"sub":7,"iat":1762907034})");
  const std::string newer = hs_token(kSecret, kHs256, R"({"sub":"7","iat":1762907035})");
  const auto identity = verifier.verify(token, kNow);
  ASSERT_TRUE(identity);
  EXPECT_TRUE(verifier.still_good(**identity, kNow));
  ASSERT_TRUE(revocations->add({"default", "7", kNow.unix_ms + 10}));
  EXPECT_EQ(verdict(verifier, token), "token_revoked");
  EXPECT_EQ(verifier.still_good(**identity, kNow).error().code, ErrorCode::token_revoked);
  EXPECT_EQ(verdict(verifier, newer), "ok");
  EXPECT_EQ(verdict(verifier, hs_token(kSecret, kHs256, R"({"sub":"7"})")), "token_revoked");
  EXPECT_EQ(verdict(verifier, hs_token(kSecret, kHs256, R"({"sub":"8"})")), "ok");
}

TEST(Verifier, StillGoodEndsWithTheToken) {
  Verifier verifier = verifier_with({.leeway_ms = 2000});
  const auto identity = verifier.verify(hs_token(kSecret, kHs256, R"({"sub":"u","exp":1762907035})"), kNow);
  ASSERT_TRUE(identity);
  EXPECT_TRUE(verifier.still_good(**identity, later(2999)));
  EXPECT_EQ(verifier.still_good(**identity, later(3000)).error().code, ErrorCode::token_expired);
}

TEST(Verifier, ForgetsTokensWhenKeysOrOptionsChange) {
  Verifier verifier = verifier_with({});
  const std::string token = hs_token(kSecret, kHs256, R"({"sub":"u"})");
  ASSERT_EQ(verdict(verifier, token), "ok");
  verifier.set_keys(ring_of({secret_key()}));  // the same keys again
  ASSERT_EQ(verdict(verifier, token), "ok");
  EXPECT_EQ(verifier.counts().signatures, 1u);
  verifier.set_keys(ring_of({*Key::from_secret("", Algorithm::HS256, "rotated")}));
  EXPECT_EQ(verdict(verifier, token), "token_invalid");
  verifier.set_keys(ring_of({secret_key()}));
  EXPECT_EQ(verdict(verifier, token), "ok");
  EXPECT_EQ(verifier.counts().signatures, 3u);
  verifier.set_options({.issuer = "somebody"});
  EXPECT_EQ(verdict(verifier, token), "token_invalid");
}

TEST(Verifier, BoundsWhatItRemembers) {
  const auto token = [](int i) { return hs_token(kSecret, kHs256, fmt::format(R"({{"sub":{}}})", i)); };
  Verifier few = verifier_with({.cache_entries = 3});
  for (int i = 0; i < 10; ++i) verdict(few, token(i));
  EXPECT_EQ(few.cached(), 3u);
  verdict(few, token(7));   // used again, so that
  verdict(few, token(10));  // this one pushes out 8
  EXPECT_EQ(few.counts().signatures, 11u);
  verdict(few, token(7));
  EXPECT_EQ(few.counts().signatures, 11u);
  verdict(few, token(8));
  EXPECT_EQ(few.counts().signatures, 12u);

  Verifier small = verifier_with({.cache_bytes = 2000});
  for (int i = 0; i < 10; ++i) verdict(small, token(i));
  EXPECT_GE(small.cached(), 1u);
  EXPECT_LE(small.cached(), 8u);

  Verifier none = verifier_with({.cache_entries = 0});
  EXPECT_EQ(verdict(none, token(1)), "ok");
  EXPECT_EQ(verdict(none, token(1)), "ok");
  EXPECT_EQ(none.counts().signatures, 2u);
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

TEST(ClaimedTenant, ReadsWhatAnUnverifiedTokenSays) {
  EXPECT_EQ(claimed_tenant(hs_token("x", kHs256, R"({"tidewire":{"tenant":"acme"}})")), "acme");
  EXPECT_EQ(claimed_tenant(hs_token("x", kHs256, R"({"tidewire":{"tenant":5}})")), std::nullopt);
  EXPECT_EQ(claimed_tenant(hs_token("x", kHs256, R"({"sub":"u"})")), std::nullopt);
  EXPECT_EQ(claimed_tenant("a.b.c"), std::nullopt);
  EXPECT_EQ(claimed_tenant(""), std::nullopt);
  EXPECT_EQ(claimed_tenant(std::string(20'000, '.')), std::nullopt);
}

}  // namespace
}  // namespace tidewire::auth
