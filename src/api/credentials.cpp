#include "api/credentials.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/base64url.h"
#include "hub/publish.h"
#include "wire/bearer.h"

namespace tidewire::api {

namespace {
constexpr std::string_view kKeyPrefix = "tw_";
}

Presented presented_by(const wire::HttpHeaders& headers) {
  Presented presented;
  presented.api_key = headers.find("X-API-Key");
  const auto bearer = wire::bearer_token(headers);
  if (!bearer) return presented;
  if (!bearer->starts_with(kKeyPrefix))
    presented.token = bearer;
  else if (!presented.api_key)
    presented.api_key = bearer;
  return presented;
}

Credentials::Digest Credentials::digest_of(std::string_view key) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return digest;
}

Credentials::Credentials(const std::vector<ApiKey>& keys) {
  rows_.reserve(keys.size());
  for (const ApiKey& key : keys)
    if (!key.key.empty())
      rows_.push_back({.digest = digest_of(key.key),
                       .grant = {.scopes = key.scopes,
                                 .tenant = key.tenant,
                                 .author = hub::server_author(publisher_name(key.key))}});
}

// It is stored beside the messages, so it is another digest than the one that keys are compared by.
std::string Credentials::publisher_name(std::string_view key) {
  constexpr std::size_t kBytes = 9;
  const Digest digest = digest_of("tidewire publisher " + std::string(key));
  return base64url_encode(std::string_view(reinterpret_cast<const char*>(digest.data()), kBytes));
}

std::optional<Credentials::Grant> Credentials::judge(std::string_view key) const {
  const Digest digest = digest_of(key);
  std::optional<Grant> found;
  for (const Row& row : rows_)
    if (CRYPTO_memcmp(digest.data(), row.digest.data(), digest.size()) == 0) found = row.grant;
  return found;
}

}  // namespace tidewire::api
