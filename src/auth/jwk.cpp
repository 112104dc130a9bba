#include "auth/jwk.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <optional>

#include "auth/free_by.h"
#include "auth/json_value.h"
#include "base/base64url.h"
#include "base/json_text.h"

namespace tidewire::auth {

namespace {

constexpr std::size_t kMaxJwksDepth = 16;
constexpr std::size_t kMaxRsaBytes = 8192 / 8 + 8;  // and room for leading zeros

using PublicKey = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeBy<EVP_PKEY_CTX_free>>;
using ParameterBuilder = std::unique_ptr<OSSL_PARAM_BLD, FreeBy<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, FreeBy<OSSL_PARAM_free>>;
using BigNumber = std::unique_ptr<BIGNUM, FreeBy<BN_free>>;
using Memory = std::unique_ptr<BIO, FreeBy<BIO_free>>;
using Certificate = std::unique_ptr<X509, FreeBy<X509_free>>;

template <class T>
using Outcome = std::expected<T, std::string>;

std::string_view text_of(const JsonValue& jwk, std::string_view member) {
  const JsonValue* value = jwk.find(member);
  return value != nullptr && value->is_string() ? std::string_view(value->string) : std::string_view();
}

std::optional<std::string> bytes_of(const JsonValue& jwk, std::string_view member) {
  const JsonValue* value = jwk.find(member);
  if (value == nullptr || !value->is_string() || value->string.empty()) return std::nullopt;
  return base64url_decode(value->string);
}

const unsigned char* raw(const std::string& bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

PublicKey public_key_from(const char* type, OSSL_PARAM_BLD* builder) {
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* pkey = nullptr;
  if (parameters && context && EVP_PKEY_fromdata_init(context.get()) == 1)
    EVP_PKEY_fromdata(context.get(), &pkey, EVP_PKEY_PUBLIC_KEY, parameters.get());
  return PublicKey(pkey);
}

PublicKey rsa_key(const JsonValue& jwk) {
  const std::optional<std::string> n = bytes_of(jwk, "n");
  const std::optional<std::string> e = bytes_of(jwk, "e");
  if (!n || !e || n->size() > kMaxRsaBytes || e->size() > 8) return nullptr;
  const BigNumber modulus(BN_bin2bn(raw(*n), static_cast<int>(n->size()), nullptr));
  const BigNumber exponent(BN_bin2bn(raw(*e), static_cast<int>(e->size()), nullptr));
  const ParameterBuilder builder(OSSL_PARAM_BLD_new());
  if (!modulus || !exponent || !builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1)
    return nullptr;
  return public_key_from("RSA", builder.get());
}

// RFC 7518 §6.2.1: both coordinates in full length. OpenSSL refuses a point that is not on the curve.
PublicKey ec_key(const JsonValue& jwk) {
  struct Curve {
    std::string_view name;
    const char* group;
    std::size_t bytes;
  };
  constexpr std::array<Curve, 3> kCurves = {
      {{"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48}, {"P-521", "secp521r1", 66}}};
  const std::string_view name = text_of(jwk, "crv");
  const auto* curve =
      std::find_if(kCurves.begin(), kCurves.end(), [&](const Curve& c) { return c.name == name; });
  const std::optional<std::string> x = bytes_of(jwk, "x");
  const std::optional<std::string> y = bytes_of(jwk, "y");
  if (curve == kCurves.end() || !x || !y || x->size() != curve->bytes || y->size() != curve->bytes)
    return nullptr;
  const std::string point = '\x04' + *x + *y;
  const ParameterBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) !=
          1)
    return nullptr;
  return public_key_from("EC", builder.get());
}

PublicKey ed25519_key(const JsonValue& jwk) {
  const std::optional<std::string> x = bytes_of(jwk, "x");
  if (text_of(jwk, "crv") != "Ed25519" || !x || x->size() != 32) return nullptr;
  return PublicKey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(*x), x->size()));
}

// RFC 7517 §4.2 and §4.3: what a key says it is for.
std::optional<std::string> why_not_for_verifying(const JsonValue& jwk) {
  if (const JsonValue* use = jwk.find("use"); use != nullptr)
    if (!use->is_string() || use->string != "sig") return "it is not for signatures (`use`)";
  if (const JsonValue* operations = jwk.find("key_ops"); operations != nullptr) {
    const auto verify = [](const JsonValue& v) { return v.is_string() && v.string == "verify"; };
    if (!operations->is_array() ||
        std::none_of(operations->elements.begin(), operations->elements.end(), verify))
      return "it is not for verifying (`key_ops`)";
  }
  return std::nullopt;
}

// The `alg` of a JWK: nothing where it has none, an error where it is none of ours.
Outcome<std::optional<Algorithm>> algorithm_in(const JsonValue& jwk) {
  const JsonValue* alg = jwk.find("alg");
  if (alg == nullptr) return std::nullopt;
  const std::optional<Algorithm> known = parse_algorithm(text_of(jwk, "alg"));
  if (!known) return std::unexpected("its `alg` is not known");
  return known;
}

Outcome<std::string> kid_in(const JsonValue& jwk) {
  const JsonValue* kid = jwk.find("kid");
  if (kid == nullptr) return std::string();
  if (!kid->is_string()) return std::unexpected("its `kid` is not a string");
  return kid->string;
}

Outcome<Key> public_jwk(const JsonValue& jwk, std::string kid, std::optional<Algorithm> algorithm) {
  const std::string_view type = text_of(jwk, "kty");
  PublicKey pkey;
  if (type == "RSA")
    pkey = rsa_key(jwk);
  else if (type == "EC")
    pkey = ec_key(jwk);
  else if (type == "OKP")
    pkey = ed25519_key(jwk);
  else
    return std::unexpected("its `kty` is not known");
  ERR_clear_error();
  if (!pkey) return std::unexpected("it is damaged, or on a curve that is not known");
  return Key::from_public_key(std::move(kid), algorithm ? AlgorithmSet{*algorithm} : AlgorithmSet(),
                              pkey.get());
}

Outcome<Key> key_of_set(const JsonValue& jwk) {
  if (!jwk.is_object()) return std::unexpected("it is not an object");
  if (text_of(jwk, "kty") == "oct") return std::unexpected("a published secret is none (`kty` oct)");
  if (std::optional<std::string> reason = why_not_for_verifying(jwk))
    return std::unexpected(*std::move(reason));
  Outcome<std::string> kid = kid_in(jwk);
  if (!kid) return std::unexpected(kid.error());
  const Outcome<std::optional<Algorithm>> algorithm = algorithm_in(jwk);
  if (!algorithm) return std::unexpected(algorithm.error());
  return public_jwk(jwk, *std::move(kid), *algorithm);
}

Outcome<Key> static_public_key(std::string kid, std::optional<Algorithm> algorithm, EVP_PKEY* pkey) {
  Outcome<Key> key =
      Key::from_public_key(std::move(kid), algorithm ? AlgorithmSet{*algorithm} : AlgorithmSet(), pkey);
  if (key && !algorithm && key->type() == KeyType::rsa)
    return std::unexpected("an RSA key needs its `alg`, such as RS256");
  return key;
}

Outcome<Key> static_jwk(const JsonValue& jwk, const StaticKeySource& source,
                        std::optional<Algorithm> algorithm) {
  if (std::optional<std::string> reason = why_not_for_verifying(jwk))
    return std::unexpected("the JWK can't be used: " + *reason);
  const Outcome<std::optional<Algorithm>> own = algorithm_in(jwk);
  if (!own) return std::unexpected("the JWK can't be used: " + own.error());
  if (*own && algorithm && **own != *algorithm)
    return std::unexpected("`alg` is not the algorithm that the JWK names");
  if (*own) algorithm = **own;
  Outcome<std::string> kid = source.kid.empty() ? kid_in(jwk) : source.kid;
  if (!kid) return std::unexpected("the JWK can't be used: " + kid.error());
  if (text_of(jwk, "kty") == "oct") {
    const std::optional<std::string> secret = bytes_of(jwk, "k");
    if (!secret) return std::unexpected("the JWK's `k` is not base64url");
    if (!algorithm) return std::unexpected("a secret needs its `alg`, such as HS256");
    return Key::from_secret(*std::move(kid), *algorithm, *secret);
  }
  if (text_of(jwk, "kty") == "RSA" && !algorithm)
    return std::unexpected("an RSA key needs its `alg`, such as RS256");
  Outcome<Key> key = public_jwk(jwk, *std::move(kid), algorithm);
  if (!key) return std::unexpected("the JWK can't be used: " + key.error());
  return key;
}

Outcome<Key> static_pem(const StaticKeySource& source, std::optional<Algorithm> algorithm) {
  if (source.text.find("PRIVATE KEY-----") != std::string::npos)
    return std::unexpected("the file holds a private key: give the public key, which is enough to verify");
  const auto open = [&] {
    return Memory(BIO_new_mem_buf(source.text.data(), static_cast<int>(source.text.size())));
  };
  PublicKey pkey(PEM_read_bio_PUBKEY(open().get(), nullptr, nullptr, nullptr));
  if (!pkey) {
    const Certificate certificate(PEM_read_bio_X509(open().get(), nullptr, nullptr, nullptr));
    if (certificate) pkey.reset(X509_get_pubkey(certificate.get()));
  }
  ERR_clear_error();
  if (!pkey) return std::unexpected("the file holds no public key, certificate or JWK");
  return static_public_key(source.kid, algorithm, pkey.get());
}

}  // namespace

std::expected<JwkSet, std::string> parse_jwks(std::string_view body) {
  if (body.size() > kMaxJwksBytes) return std::unexpected("the key set is too large");
  const std::optional<JsonValue> document = parse_json(body, kMaxJwksDepth);
  if (!document) return std::unexpected("the key set is not JSON");
  const JsonValue* keys = document->find("keys");
  if (keys == nullptr || !keys->is_array())
    return std::unexpected("the key set is not an object with an array `keys`");
  if (keys->elements.size() > kMaxJwksKeys) return std::unexpected("the key set has too many keys");
  JwkSet set;
  for (const JsonValue& jwk : keys->elements) {
    Outcome<Key> key = key_of_set(jwk);
    if (key) {
      set.keys.push_back(*std::move(key));
    } else {
      // The name comes from outside; as a JSON string it can't break a log line.
      const std::string_view kid = text_of(jwk, "kid").substr(0, 64);
      set.skipped.push_back(fmt::format("key {} is left out: {}", json_string(kid), key.error()));
    }
  }
  return set;
}

std::expected<Key, std::string> parse_static_key(const StaticKeySource& source) {
  std::optional<Algorithm> algorithm;
  if (!source.alg.empty()) {
    algorithm = parse_algorithm(source.alg);
    if (!algorithm) return std::unexpected("`alg` is none of HS256 to HS512, RS, PS and ES alike, and EdDSA");
  }
  if (source.secret.empty() == source.text.empty())
    return std::unexpected("exactly one of `secret` and `file` is needed");
  if (!source.secret.empty()) {
    if (!algorithm) return std::unexpected("a secret needs its `alg`, such as HS256");
    return Key::from_secret(source.kid, *algorithm, source.secret);
  }
  if (source.text.size() > kMaxJwksBytes) return std::unexpected("the file is too large");
  const std::size_t start = source.text.find_first_not_of(" \t\r\n");
  if (start == std::string::npos || source.text[start] != '{') return static_pem(source, algorithm);
  const std::optional<JsonValue> jwk = parse_json(source.text, kMaxJwksDepth);
  if (!jwk) return std::unexpected("the file is neither PEM nor JSON");
  return static_jwk(*jwk, source, algorithm);
}

}  // namespace tidewire::auth
