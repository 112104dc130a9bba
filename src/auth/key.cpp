#include "auth/key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "auth/free_by.h"
#include "base/check.h"

namespace tidewire::auth {

namespace {

constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;  // bounds what one verification may cost

using MdContext = std::unique_ptr<EVP_MD_CTX, FreeBy<EVP_MD_CTX_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, FreeBy<EVP_MAC_CTX_free>>;
using BigNumber = std::unique_ptr<BIGNUM, FreeBy<BN_free>>;
using EcSignature = std::unique_ptr<ECDSA_SIG, FreeBy<ECDSA_SIG_free>>;

// Fetching an algorithm costs more than using it, so it is done once and kept for good.
struct Fetched {
  EVP_MD* sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD* sha384 = EVP_MD_fetch(nullptr, "SHA384", nullptr);
  EVP_MD* sha512 = EVP_MD_fetch(nullptr, "SHA512", nullptr);
  EVP_MAC* hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  Fetched() { TIDEWIRE_CHECK(sha256 && sha384 && sha512 && hmac); }
};
const Fetched& fetched() {
  static const Fetched once;
  return once;
}

const EVP_MD* hash_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::HS256:
    case Algorithm::RS256:
    case Algorithm::PS256:
    case Algorithm::ES256:
      return fetched().sha256;
    case Algorithm::HS384:
    case Algorithm::RS384:
    case Algorithm::PS384:
    case Algorithm::ES384:
      return fetched().sha384;
    case Algorithm::HS512:
    case Algorithm::RS512:
    case Algorithm::PS512:
    case Algorithm::ES512:
      return fetched().sha512;
    case Algorithm::EdDSA:
      return nullptr;  // hashes by itself
  }
  return nullptr;
}

bool is_pss(Algorithm algorithm) {
  return algorithm == Algorithm::PS256 || algorithm == Algorithm::PS384 || algorithm == Algorithm::PS512;
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::array<std::uint8_t, 32> sha256(std::string_view bytes) {
  std::array<std::uint8_t, 32> hash{};
  unsigned size = 0;
  TIDEWIRE_CHECK(EVP_Digest(bytes.data(), bytes.size(), hash.data(), &size, fetched().sha256, nullptr) == 1);
  return hash;
}

std::array<std::uint8_t, 32> fingerprint_of(std::string_view kid, AlgorithmSet algorithms,
                                            std::string_view material) {
  const std::array<std::uint8_t, 32> inner = sha256(material);
  std::string text = std::to_string(algorithms.bits()) + ' ';
  text.append(reinterpret_cast<const char*>(inner.data()), inner.size());
  text.append(kid);
  return sha256(text);
}

std::optional<KeyType> type_of(EVP_PKEY* pkey) {
  if (EVP_PKEY_is_a(pkey, "RSA")) return KeyType::rsa;
  if (EVP_PKEY_is_a(pkey, "ED25519")) return KeyType::ed25519;
  if (!EVP_PKEY_is_a(pkey, "EC")) return std::nullopt;
  std::array<char, 64> name{};
  std::size_t size = 0;
  if (EVP_PKEY_get_group_name(pkey, name.data(), name.size(), &size) != 1) return std::nullopt;
  const std::string_view curve(name.data(), size);
  if (curve == "prime256v1") return KeyType::p256;
  if (curve == "secp384r1") return KeyType::p384;
  if (curve == "secp521r1") return KeyType::p521;
  return std::nullopt;
}

BigNumber number_of(EVP_PKEY* pkey, const char* name) {
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(pkey, name, &number);
  return BigNumber(number);
}

std::optional<std::string> fault_of_rsa(EVP_PKEY* pkey) {
  const int bits = EVP_PKEY_get_bits(pkey);
  if (bits < kMinRsaBits) return fmt::format("an RSA key of {} bits is too weak, 2048 are needed", bits);
  if (bits > kMaxRsaBits) return fmt::format("an RSA key of {} bits is too large", bits);
  const BigNumber modulus = number_of(pkey, OSSL_PKEY_PARAM_RSA_N);
  const BigNumber exponent = number_of(pkey, OSSL_PKEY_PARAM_RSA_E);
  // With an exponent of 1 a signature is the message itself, and anybody can make one.
  if (!modulus || !exponent || !BN_is_odd(modulus.get()) || !BN_is_odd(exponent.get()) ||
      BN_is_one(exponent.get()))
    return "the RSA key is not a sound one";
  return std::nullopt;
}

// Points of order 1, 2, 4 and 8 (their y, as they may be encoded): under such a key one signature is
// good for many messages, and anybody can make it.
std::optional<std::string> fault_of_ed25519(EVP_PKEY* pkey) {
  constexpr std::string_view kHigh = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
  constexpr std::string_view kOrder8[] = {
      "\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0"
      "\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
      "\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f"
      "\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a"};
  std::array<unsigned char, 32> raw{};
  std::size_t size = raw.size();
  if (EVP_PKEY_get_raw_public_key(pkey, raw.data(), &size) != 1 || size != raw.size())
    return "the Ed25519 key is not a sound one";
  raw.back() &= 0x7f;  // the sign of x
  const std::string_view y(reinterpret_cast<const char*>(raw.data()), raw.size());
  const bool near_zero = raw[0] <= 1 && y.find_first_not_of('\0', 1) == std::string_view::npos;
  const bool near_prime =
      raw[0] >= 0xec && y.substr(1, 15) == kHigh && y.substr(16, 15) == kHigh && raw[31] == 0x7f;
  if (near_zero || near_prime || y == kOrder8[0] || y == kOrder8[1])
    return "the Ed25519 key is not a sound one";
  return std::nullopt;
}

// The raw r||s of RFC 7518 §3.4 as the DER that OpenSSL takes. Empty where the length is not the curve's.
std::string der_of_raw_ecdsa(KeyType type, std::string_view raw) {
  const std::size_t half = type == KeyType::p256 ? 32 : type == KeyType::p384 ? 48 : 66;
  if (raw.size() != 2 * half) return {};
  const int length = static_cast<int>(half);
  BigNumber r(BN_bin2bn(bytes_of(raw), length, nullptr));
  BigNumber s(BN_bin2bn(bytes_of(raw) + half, length, nullptr));
  EcSignature signature(ECDSA_SIG_new());
  if (!r || !s || !signature) return {};
  if (BN_is_zero(r.get()) || BN_is_zero(s.get())) return {};
  ECDSA_SIG_set0(signature.get(), r.release(), s.release());
  std::string der(static_cast<std::size_t>(i2d_ECDSA_SIG(signature.get(), nullptr)), '\0');
  unsigned char* out = reinterpret_cast<unsigned char*>(der.data());
  i2d_ECDSA_SIG(signature.get(), &out);
  return der;
}

struct Mac {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  std::size_t size = 0;
};

Mac mac_of(EVP_MAC_CTX* keyed, std::string_view input) {
  const MacContext context(EVP_MAC_CTX_dup(keyed));
  Mac mac;
  TIDEWIRE_CHECK(context && EVP_MAC_update(context.get(), bytes_of(input), input.size()) == 1 &&
                 EVP_MAC_final(context.get(), mac.bytes.data(), &mac.size, mac.bytes.size()) == 1);
  return mac;
}

bool mac_matches(EVP_MAC_CTX* keyed, std::string_view input, std::string_view signature) {
  const Mac mac = mac_of(keyed, input);
  return mac.size == signature.size() && CRYPTO_memcmp(mac.bytes.data(), signature.data(), mac.size) == 0;
}

bool public_key_matches(EVP_PKEY* pkey, Algorithm algorithm, std::string_view input,
                        std::string_view signature) {
  const MdContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;  // belongs to `context`
  if (!context || EVP_DigestVerifyInit(context.get(), &parameters, hash_of(algorithm), nullptr, pkey) != 1)
    return false;
  // The salt is as long as the hash (RFC 7518 §3.5), and MGF1 uses the same one by default.
  if (is_pss(algorithm) && (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) <= 0 ||
                            EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) <= 0))
    return false;
  return EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(input),
                          input.size()) == 1;
}

}  // namespace

Key::Outcome<Key> Key::from_secret(std::string kid, Algorithm algorithm, std::string_view secret) {
  if (key_type_of(algorithm) != KeyType::secret)
    return std::unexpected(fmt::format("{} needs a public key, not a secret", name_of(algorithm)));
  if (secret.empty()) return std::unexpected("the secret is empty");
  if (secret.find("-----BEGIN") != std::string_view::npos)
    return std::unexpected("the secret is a PEM file: give it as a file, with its own algorithm");
  Key key;
  key.kid_ = std::move(kid);
  key.algorithms_ = {algorithm};
  key.type_ = KeyType::secret;
  key.fingerprint_ = fingerprint_of(key.kid_, key.algorithms_, secret);
  key.mac_.reset(EVP_MAC_CTX_new(fetched().hmac), EVP_MAC_CTX_free);
  const char* hash = EVP_MD_get0_name(hash_of(algorithm));
  const std::array parameters = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>(hash), 0),
      OSSL_PARAM_construct_end()};
  if (!key.mac_ || EVP_MAC_init(key.mac_.get(), bytes_of(secret), secret.size(), parameters.data()) != 1) {
    ERR_clear_error();
    return std::unexpected("OpenSSL does not take the secret");
  }
  return key;
}

Key::Outcome<Key> Key::from_public_key(std::string kid, AlgorithmSet algorithms, evp_pkey_st* pkey) {
  const std::optional<KeyType> type = type_of(pkey);
  ERR_clear_error();
  if (!type) return std::unexpected("the key is none of RSA, EC P-256, P-384, P-521 and Ed25519");
  if (algorithms.empty()) algorithms = algorithms_by_key_type(*type);
  if ((algorithms.bits() & ~algorithms_by_key_type(*type).bits()) != 0)
    return std::unexpected("the algorithm does not fit the key's type");
  if (*type == KeyType::rsa)
    if (std::optional<std::string> fault = fault_of_rsa(pkey)) return std::unexpected(*std::move(fault));

  if (*type == KeyType::ed25519)
    if (std::optional<std::string> fault = fault_of_ed25519(pkey)) return std::unexpected(*std::move(fault));

  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(pkey, &der);
  ERR_clear_error();
  if (size <= 0) return std::unexpected("OpenSSL can't write the key down");
  Key key;
  key.kid_ = std::move(kid);
  key.algorithms_ = algorithms;
  key.type_ = *type;
  key.fingerprint_ = fingerprint_of(key.kid_, algorithms,
                                    {reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  EVP_PKEY_up_ref(pkey);
  key.public_key_.reset(pkey, EVP_PKEY_free);
  return key;
}

std::string Key::sign(std::string_view input) const {
  TIDEWIRE_CHECK(type_ == KeyType::secret);
  const Mac mac = mac_of(mac_.get(), input);
  return {reinterpret_cast<const char*>(mac.bytes.data()), mac.size};
}

bool Key::verifies(Algorithm algorithm, std::string_view input, std::string_view signature) const {
  if (!algorithms_.contains(algorithm)) return false;
  if (type_ == KeyType::secret) return mac_matches(mac_.get(), input, signature);
  std::string der;
  if (type_ == KeyType::p256 || type_ == KeyType::p384 || type_ == KeyType::p521) {
    der = der_of_raw_ecdsa(type_, signature);
    signature = der;
  }
  // RFC 8017 §8.1.2, §8.2.2: as long as the modulus. OpenSSL would take one whose leading zeros are missing.
  if (type_ == KeyType::rsa &&
      signature.size() != static_cast<std::size_t>(EVP_PKEY_get_size(public_key_.get())))
    return false;
  const bool good = !signature.empty() && public_key_matches(public_key_.get(), algorithm, input, signature);
  if (!good) ERR_clear_error();  // or TLS on this thread would read our failure as its own
  return good;
}

}  // namespace tidewire::auth
