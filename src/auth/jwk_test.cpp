#include "auth/jwk.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "auth/test_signer.h"

namespace tidewire::auth {
namespace {

const TestSigner& rsa() {
  static const TestSigner signer = TestSigner::rsa();
  return signer;
}

std::string set_of(std::initializer_list<std::string> keys) {
  std::string out = R"({"keys":[)";
  for (const std::string& key : keys) out += (out.ends_with('[') ? "" : ",") + key;
  return out + "]}";
}

// The one reason why the only key of a set was left out, or "" where it was taken.
std::string reason(const std::string& jwk) {
  const auto set = parse_jwks(set_of({jwk}));
  if (!set) return "no set: " + set.error();
  return set->skipped.empty() ? "" : set->skipped.front();
}

TEST(Jwks, TakesEveryTypeAndBindsItToItsAlgorithm) {
  const TestSigner p256 = TestSigner::ec("P-256"), p384 = TestSigner::ec("P-384"),
                   p521 = TestSigner::ec("P-521"), ed = TestSigner::ed25519();
  const auto set = parse_jwks(set_of(
      {p256.jwk(R"("kid":"a")"), p384.jwk(R"("kid":"b")"), p521.jwk(R"("kid":"c")"), ed.jwk(R"("kid":"d")"),
       rsa().jwk(R"("kid":"e")"), rsa().jwk(R"("kid":"f","alg":"PS384","use":"sig","key_ops":["verify"])")}));
  ASSERT_TRUE(set);
  ASSERT_EQ(set->keys.size(), 6u);
  EXPECT_TRUE(set->skipped.empty());
  EXPECT_EQ(set->keys[0].algorithms(), AlgorithmSet{Algorithm::ES256});
  EXPECT_EQ(set->keys[1].algorithms(), AlgorithmSet{Algorithm::ES384});
  EXPECT_EQ(set->keys[2].algorithms(), AlgorithmSet{Algorithm::ES512});
  EXPECT_EQ(set->keys[3].algorithms(), AlgorithmSet{Algorithm::EdDSA});
  EXPECT_EQ(set->keys[4].algorithms(), algorithms_by_key_type(KeyType::rsa));
  EXPECT_EQ(set->keys[5].algorithms(), AlgorithmSet{Algorithm::PS384});
  EXPECT_EQ(set->keys[5].kid(), "f");
  EXPECT_TRUE(set->keys[2].verifies(Algorithm::ES512, "x", p521.sign(Algorithm::ES512, "x")));
  EXPECT_FALSE(set->keys[4].algorithms().contains(Algorithm::HS256));
}

TEST(Jwks, LeavesOutKeysThatAreNotForVerifyingTokens) {
  EXPECT_THAT(reason(R"({"kty":"oct","k":"c2VjcmV0","alg":"HS256","kid":"a"})"),
              testing::HasSubstr("secret"));
  EXPECT_THAT(reason(rsa().jwk(R"("use":"enc")")), testing::HasSubstr("`use`"));
  EXPECT_THAT(reason(rsa().jwk(R"("use":1)")), testing::HasSubstr("`use`"));
  EXPECT_THAT(reason(rsa().jwk(R"("key_ops":["encrypt"])")), testing::HasSubstr("`key_ops`"));
  EXPECT_THAT(reason(rsa().jwk(R"("key_ops":"verify")")), testing::HasSubstr("`key_ops`"));
  EXPECT_THAT(reason(rsa().jwk(R"("alg":"RSA-OAEP")")), testing::HasSubstr("`alg`"));
  EXPECT_THAT(reason(rsa().jwk(R"("alg":"none")")), testing::HasSubstr("`alg`"));
  EXPECT_THAT(reason(rsa().jwk(R"("alg":null)")), testing::HasSubstr("`alg`"));
  EXPECT_THAT(reason(rsa().jwk(R"("alg":"HS256")")), testing::HasSubstr("does not fit"));
  EXPECT_THAT(reason(rsa().jwk(R"("alg":"ES256")")), testing::HasSubstr("does not fit"));
  EXPECT_THAT(reason(TestSigner::ec("P-384").jwk(R"("alg":"ES256")")), testing::HasSubstr("does not fit"));
  EXPECT_THAT(reason(rsa().jwk(R"("kid":7)")), testing::HasSubstr("`kid`"));
  EXPECT_THAT(reason(R"({"kid":"a"})"), testing::HasSubstr("`kty`"));
  EXPECT_THAT(reason("5"), testing::HasSubstr("not an object"));
}

TEST(Jwks, RefusesWeakAndUnsoundRsaKeys) {
  EXPECT_THAT(reason(TestSigner::rsa(1024).jwk()), testing::HasSubstr("1024 bits"));
  EXPECT_THAT(reason(TestSigner::rsa(2040).jwk()), testing::HasSubstr("2040 bits"));
  const std::string n = base64url_encode(std::string(256, '\xff'));
  const auto with = [&](std::string_view modulus, std::string_view e) {
    return fmt::format(R"({{"kty":"RSA","n":"{}","e":"{}"}})", modulus, e);
  };
  EXPECT_NE(reason(with(n, "AQ")), "");                                             // 1: anybody can sign
  EXPECT_NE(reason(with(n, "AA")), "");                                             // 0
  EXPECT_NE(reason(with(n, "BA")), "");                                             // 4
  EXPECT_NE(reason(with(base64url_encode(std::string(256, '\xfe')), "AQAB")), "");  // even
  EXPECT_NE(reason(with(base64url_encode(std::string(2048, '\xff')), "AQAB")), "");
  EXPECT_NE(reason(with(n, base64url_encode(std::string(64, '\xff')))), "");
  EXPECT_NE(reason(with(n + "=", "AQAB")), "");
  EXPECT_NE(reason(with("", "AQAB")), "");
  EXPECT_NE(reason(R"({"kty":"RSA","e":"AQAB"})"), "");
}

TEST(Jwks, RefusesDamagedCurveKeys) {
  const std::string zeros = base64url_encode(std::string(32, '\0'));
  const auto ec = [](std::string_view curve, std::string_view x, std::string_view y) {
    return fmt::format(R"({{"kty":"EC","crv":"{}","x":"{}","y":"{}"}})", curve, x, y);
  };
  EXPECT_NE(reason(ec("P-256", zeros, zeros)), "");  // not on the curve
  EXPECT_NE(reason(ec("P-256", "AA", zeros)), "");
  EXPECT_NE(reason(ec("secp256k1", zeros, zeros)), "");
  EXPECT_NE(reason(R"({"kty":"OKP","crv":"Ed25519","x":"AA"})"), "");
  EXPECT_NE(reason(R"({"kty":"OKP","crv":"X25519","x":")" + zeros + "\"}"), "");
}

TEST(Jwks, RefusesEd25519KeysOfSmallOrder) {
  const auto ed = [](const std::string& x) {
    return reason(R"({"kty":"OKP","crv":"Ed25519","x":")" + base64url_encode(x) + "\"}");
  };
  const std::string high(30, '\xff'), low(31, '\0');
  for (const char sign : {'\0', '\x80'}) {
    for (const char first : {'\xec', '\xed', '\xee'})
      EXPECT_THAT(ed(first + high + static_cast<char>(0x7f | sign)), testing::HasSubstr("not a sound one"));
    for (const char first : {'\0', '\1'})
      EXPECT_THAT(ed(first + low.substr(1) + sign), testing::HasSubstr("not a sound one"));
  }
  for (const char* order8 :
       {"JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o"})
    EXPECT_THAT(ed(*base64url_decode(order8)), testing::HasSubstr("not a sound one"));
}

TEST(Jwks, OneBadKeyCostsOnlyThatKey) {
  const auto set =
      parse_jwks(set_of({R"({"kty":"oct","k":"AA","kid":"bad\nname"})", rsa().jwk(R"("kid":"a")")}));
  ASSERT_TRUE(set);
  EXPECT_EQ(set->keys.size(), 1u);
  ASSERT_EQ(set->skipped.size(), 1u);
  EXPECT_EQ(set->skipped[0].find('\n'), std::string::npos);
}

TEST(Jwks, RefusesWhatIsNoSet) {
  for (const char* body : {"", "[]", "{}", R"({"keys":{}})", R"({"keys":[)", "null", "<html>"})
    EXPECT_FALSE(parse_jwks(body)) << body;
  EXPECT_TRUE(parse_jwks(R"({"keys":[]})"));
  EXPECT_FALSE(parse_jwks(std::string(kMaxJwksBytes + 1, ' ')));
  std::string many = R"({"keys":[)";
  for (std::size_t i = 0; i <= kMaxJwksKeys; ++i) many += i == 0 ? "1" : ",1";
  EXPECT_FALSE(parse_jwks(many + "]}"));
}

TEST(StaticKey, ReadsPemJwkAndSecrets) {
  const auto pem = parse_static_key({.alg = "RS256", .kid = "a", .text = rsa().public_pem()});
  ASSERT_TRUE(pem) << pem.error();
  EXPECT_EQ(pem->kid(), "a");
  EXPECT_EQ(pem->algorithms(), AlgorithmSet{Algorithm::RS256});
  EXPECT_TRUE(pem->verifies(Algorithm::RS256, "x", rsa().sign(Algorithm::RS256, "x")));

  const TestSigner p256 = TestSigner::ec("P-256");
  const auto jwk = parse_static_key({.text = "\n" + p256.jwk(R"("kid":"own")")});
  ASSERT_TRUE(jwk) << jwk.error();
  EXPECT_EQ(jwk->kid(), "own");
  EXPECT_EQ(jwk->algorithms(), AlgorithmSet{Algorithm::ES256});

  const auto secret = parse_static_key({.alg = "HS512", .secret = "s3cret"});
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret->algorithms(), AlgorithmSet{Algorithm::HS512});

  const auto oct = parse_static_key({.text = R"({"kty":"oct","alg":"HS256","k":"czNjcmV0"})"});
  ASSERT_TRUE(oct);
  EXPECT_EQ(oct->sign("x"), Key::from_secret("", Algorithm::HS256, "s3cret")->sign("x"));

  const auto ed = parse_static_key({.text = TestSigner::ed25519().public_pem()});
  ASSERT_TRUE(ed);
  EXPECT_EQ(ed->algorithms(), AlgorithmSet{Algorithm::EdDSA});
}

TEST(StaticKey, ReadsTheKeyOfACertificate) {
  std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), rsa().pkey());
  X509_sign(certificate.get(), rsa().pkey(), EVP_sha256());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  const std::string pem(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  const auto key = parse_static_key({.alg = "RS256", .text = pem});
  ASSERT_TRUE(key) << key.error();
  EXPECT_TRUE(key->verifies(Algorithm::RS256, "x", rsa().sign(Algorithm::RS256, "x")));
}

TEST(StaticKey, SaysWhatIsWrongWithoutRepeatingTheKey) {
  const auto fault = [](const StaticKeySource& source) {
    const auto key = parse_static_key(source);
    return key ? std::string("taken") : key.error();
  };
  const std::string pem = rsa().public_pem();
  EXPECT_THAT(fault({"", "", "", pem}), testing::HasSubstr("needs its `alg`"));
  EXPECT_THAT(fault({"", "", "", rsa().jwk()}), testing::HasSubstr("needs its `alg`"));
  EXPECT_THAT(fault({"", "", "topsecret", ""}), testing::HasSubstr("needs its `alg`"));
  EXPECT_THAT(fault({"rs256", "", "", pem}), testing::HasSubstr("`alg` is none of"));
  EXPECT_THAT(fault({"none", "", "", pem}), testing::HasSubstr("`alg` is none of"));
  EXPECT_THAT(fault({"ES256", "", "", pem}), testing::HasSubstr("does not fit"));
  EXPECT_THAT(fault({"HS256", "", "", pem}), testing::HasSubstr("does not fit"));
  EXPECT_THAT(fault({"HS256", "", pem, ""}), testing::HasSubstr("PEM"));
  EXPECT_THAT(fault({"RS256", "", "topsecret", ""}), testing::HasSubstr("public key"));
  EXPECT_THAT(fault({"RS256", "", "", rsa().private_pem()}), testing::HasSubstr("private key"));
  EXPECT_THAT(fault({"RS256", "", "", ""}), testing::HasSubstr("exactly one"));
  EXPECT_THAT(fault({"RS256", "", "a", pem}), testing::HasSubstr("exactly one"));
  EXPECT_THAT(fault({"RS256", "", "", "not a key"}), testing::HasSubstr("no public key"));
  EXPECT_THAT(fault({"RS256", "", "", "{not json"}), testing::HasSubstr("neither PEM nor JSON"));
  EXPECT_THAT(fault({"RS256", "", "", "   "}), testing::HasSubstr("no public key"));
  EXPECT_THAT(fault({"RS256", "", "", rsa().jwk(R"("alg":"RS512")")}),
              testing::HasSubstr("not the algorithm"));
  EXPECT_THAT(fault({"RS256", "", "", TestSigner::rsa(1024).public_pem()}), testing::HasSubstr("1024 bits"));
  EXPECT_THAT(fault({"", "", "", TestSigner::ec("secp256k1").public_pem()}),
              testing::HasSubstr("none of RSA"));
  EXPECT_THAT(fault({"", "", "", R"({"kty":"oct","alg":"HS256","k":"a b"})"}),
              testing::HasSubstr("base64url"));
  EXPECT_EQ(fault({"HS256", "", "topsecret", ""}), "taken");
}

TEST(Key, FingerprintTellsKeysApartByNameAlgorithmAndMaterial) {
  const auto secret = [](const char* kid, Algorithm a, const char* s) {
    return Key::from_secret(kid, a, s)->fingerprint();
  };
  const auto same = secret("a", Algorithm::HS256, "one");
  EXPECT_EQ(same, secret("a", Algorithm::HS256, "one"));
  EXPECT_NE(same, secret("b", Algorithm::HS256, "one"));
  EXPECT_NE(same, secret("a", Algorithm::HS384, "one"));
  EXPECT_NE(same, secret("a", Algorithm::HS256, "two"));
}

TEST(Key, RefusesOtherSignaturesAndLeavesNoErrorBehind) {
  const TestSigner p256 = TestSigner::ec("P-256");
  const Key key = *Key::from_public_key("", {}, p256.pkey());
  const std::string good = p256.sign(Algorithm::ES256, "x");
  EXPECT_TRUE(key.verifies(Algorithm::ES256, "x", good));
  EXPECT_FALSE(key.verifies(Algorithm::ES256, "y", good));
  EXPECT_FALSE(key.verifies(Algorithm::ES384, "x", good));
  EXPECT_FALSE(key.verifies(Algorithm::HS256, "x", good));
  EXPECT_FALSE(key.verifies(Algorithm::ES256, "x", ""));
  EXPECT_FALSE(key.verifies(Algorithm::ES256, "x", std::string(64, '\0')));    // r = s = 0
  EXPECT_FALSE(key.verifies(Algorithm::ES256, "x", std::string(64, '\xff')));  // above the order
  EXPECT_FALSE(key.verifies(Algorithm::ES256, "x", good.substr(0, 32) + std::string(32, '\0')));
  EXPECT_FALSE(key.verifies(Algorithm::ES256, "x", good + '\0'));
  EXPECT_FALSE(key.verifies(Algorithm::ES256, "x", good.substr(1)));
  EXPECT_FALSE(key.verifies(Algorithm::ES256, "x", p256.sign(Algorithm::ES256, "x", true)));  // DER
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(Key, RsaKeyWithoutAlgorithmKeepsPaddingsApart) {
  const Key key = *Key::from_public_key("", {}, rsa().pkey());
  for (const Algorithm a : {Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256,
                            Algorithm::PS384, Algorithm::PS512}) {
    const std::string signature = rsa().sign(a, "x");
    EXPECT_TRUE(key.verifies(a, "x", signature));
    for (const Algorithm other : {Algorithm::RS256, Algorithm::PS256, Algorithm::PS512})
      EXPECT_EQ(key.verifies(other, "x", signature), other == a);
    EXPECT_FALSE(key.verifies(a, "x", signature.substr(1)));
    EXPECT_FALSE(key.verifies(a, "x", '\0' + signature));
    EXPECT_FALSE(key.verifies(a, "x", ""));
  }
}

// OpenSSL takes it: as a number it is the same.
TEST(Key, RefusesAnRsaSignatureWhoseLeadingZeroIsMissing) {
  const Key key = *Key::from_public_key("", {}, rsa().pkey());
  std::string input, signature;
  for (int i = 0; signature.empty() || signature.front() != '\0'; ++i) {
    input = std::to_string(i);
    signature = rsa().sign(Algorithm::RS256, input);
  }
  EXPECT_TRUE(key.verifies(Algorithm::RS256, input, signature));
  EXPECT_FALSE(key.verifies(Algorithm::RS256, input, signature.substr(1)));
}

}  // namespace
}  // namespace tidewire::auth
