// Signing keys for the tests, fuzzers and benchmarks of this folder: made by OpenSSL at run time, so
// that no private key lies in the repository. The server itself only ever verifies.
#pragma once

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>
#include <string>
#include <string_view>

#include "auth/algorithm.h"
#include "auth/key.h"
#include "base/base64url.h"
#include "base/check.h"
#include "base/json_text.h"

namespace tidewire::auth {

class TestSigner {
 public:
  static TestSigner rsa(unsigned bits = 2048) { return TestSigner(EVP_RSA_gen(bits)); }
  static TestSigner ec(const char* curve) { return TestSigner(EVP_EC_gen(curve)); }
  static TestSigner ed25519() { return TestSigner(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")); }
  // A fresh key that can make signatures of this (public key) algorithm.
  static TestSigner of(Algorithm algorithm) {
    switch (key_type_of(algorithm)) {
      case KeyType::p256:
        return ec("P-256");
      case KeyType::p384:
        return ec("P-384");
      case KeyType::p521:
        return ec("P-521");
      case KeyType::ed25519:
        return ed25519();
      default:
        return rsa();
    }
  }

  EVP_PKEY* pkey() const { return pkey_.get(); }

  // The signature as a JWS has it; `der` leaves an ECDSA one as OpenSSL makes it.
  std::string sign(Algorithm algorithm, std::string_view input, bool der = false) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_PKEY_CTX* parameters = nullptr;
    const std::string name(name_of(algorithm));
    const EVP_MD* hash = algorithm == Algorithm::EdDSA ? nullptr
                         : name.ends_with("256")       ? EVP_sha256()
                         : name.ends_with("384")       ? EVP_sha384()
                                                       : EVP_sha512();
    TIDEWIRE_CHECK(EVP_DigestSignInit(context.get(), &parameters, hash, nullptr, pkey_.get()) == 1);
    if (name.starts_with("PS")) {
      EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING);
      EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST);
    }
    const auto* bytes = reinterpret_cast<const unsigned char*>(input.data());
    std::size_t size = 0;
    TIDEWIRE_CHECK(EVP_DigestSign(context.get(), nullptr, &size, bytes, input.size()) == 1);
    std::string signature(size, '\0');
    TIDEWIRE_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                                  bytes, input.size()) == 1);
    signature.resize(size);
    return name.starts_with("ES") && !der ? raw_of(algorithm, signature) : signature;
  }

  // header.claims.signature, with exactly these JSON texts inside.
  std::string token(Algorithm algorithm, std::string_view header, std::string_view claims) const {
    std::string token = base64url_encode(header) + '.' + base64url_encode(claims);
    return token + '.' + base64url_encode(sign(algorithm, token));
  }

  // The public key as a JWK; `more` are members to add, such as `"kid":"a","alg":"RS256"`.
  std::string jwk(std::string_view more = {}) const {
    std::string out = "{";
    if (EVP_PKEY_is_a(pkey_.get(), "RSA")) {
      out += R"("kty":"RSA","n":")" + number(OSSL_PKEY_PARAM_RSA_N, 0) + R"(","e":")" +
             number(OSSL_PKEY_PARAM_RSA_E, 0) + '"';
    } else if (EVP_PKEY_is_a(pkey_.get(), "EC")) {
      const int bits = EVP_PKEY_get_bits(pkey_.get());
      const int bytes = (bits + 7) / 8;
      out += R"("kty":"EC","crv":"P-)" + std::to_string(bits) + R"(","x":")" +
             number(OSSL_PKEY_PARAM_EC_PUB_X, bytes) + R"(","y":")" +
             number(OSSL_PKEY_PARAM_EC_PUB_Y, bytes) + '"';
    } else {
      std::string raw(32, '\0');
      std::size_t size = raw.size();
      EVP_PKEY_get_raw_public_key(pkey_.get(), reinterpret_cast<unsigned char*>(raw.data()), &size);
      out += R"("kty":"OKP","crv":"Ed25519","x":")" + base64url_encode(raw) + '"';
    }
    if (!more.empty()) out += ',' + std::string(more);
    return out + '}';
  }

  std::string public_pem() const {
    return pem([&](BIO* bio) { return PEM_write_bio_PUBKEY(bio, pkey_.get()); });
  }
  std::string private_pem() const {
    return pem([&](BIO* bio) {
      return PEM_write_bio_PrivateKey(bio, pkey_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }

 private:
  explicit TestSigner(EVP_PKEY* pkey) : pkey_(pkey, EVP_PKEY_free) { TIDEWIRE_CHECK(pkey != nullptr); }

  static std::string bytes_of(const BIGNUM* number, int bytes) {
    std::string out(static_cast<std::size_t>(bytes > 0 ? bytes : BN_num_bytes(number)), '\0');
    BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size()));
    return out;
  }

  std::string number(const char* name, int bytes) const {
    BIGNUM* value = nullptr;
    TIDEWIRE_CHECK(EVP_PKEY_get_bn_param(pkey_.get(), name, &value) == 1);
    std::string text = base64url_encode(bytes_of(value, bytes));
    BN_free(value);
    return text;
  }

  static std::string raw_of(Algorithm algorithm, const std::string& der) {
    const int half = algorithm == Algorithm::ES256 ? 32 : algorithm == Algorithm::ES384 ? 48 : 66;
    const auto* in = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &in, static_cast<long>(der.size()));
    TIDEWIRE_CHECK(signature != nullptr);
    std::string raw =
        bytes_of(ECDSA_SIG_get0_r(signature), half) + bytes_of(ECDSA_SIG_get0_s(signature), half);
    ECDSA_SIG_free(signature);
    return raw;
  }

  template <class Write>
  static std::string pem(Write write) {
    BIO* bio = BIO_new(BIO_s_mem());
    TIDEWIRE_CHECK(write(bio) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    return text;
  }

  std::shared_ptr<EVP_PKEY> pkey_;
};

// header.claims.signature by a secret, with exactly these JSON texts inside.
inline std::string hs_token(std::string_view secret, std::string_view header, std::string_view claims,
                            Algorithm algorithm = Algorithm::HS256) {
  std::string token = base64url_encode(header) + '.' + base64url_encode(claims);
  return token + '.' + base64url_encode(Key::from_secret("", algorithm, secret)->sign(token));
}

}  // namespace tidewire::auth
