// API keys, and what a request brings to say who calls (protocol §8).
//
// Keys are kept and compared as SHA-256 digests, all of them and without an early end, so that neither
// memory nor timing tells one. Owned by the shard's thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "api/options.h"
#include "auth/identity.h"
#include "wire/http_request.h"

namespace tidewire::api {

// Who calls, once it is known.
struct Caller {
  hub::TenantId tenant = 0;
  bool server = false;         // an API key
  auth::IdentityPtr identity;  // a user's token; null with an API key and on public routes
  std::shared_ptr<const hub::Author> author = {};  // of an API key
};

// What a request presents, unjudged; views into the request.
struct Presented {
  std::optional<std::string_view> api_key;
  std::optional<std::string_view> token;
};

// X-API-Key, else a bearer that begins with tw_, is an API key; another bearer is a user's token. An API
// key that is present counts, and a token beside it does not.
Presented presented_by(const wire::HttpHeaders& headers);

class Credentials {
 public:
  explicit Credentials(const std::vector<ApiKey>& keys);

  struct Grant {
    std::uint8_t scopes = 0;
    hub::TenantId tenant = 0;
    // Each key is a publisher of its own, the same one after a restart.
    std::shared_ptr<const hub::Author> author = {};
    bool has(Scope scope) const { return (scopes & static_cast<std::uint8_t>(scope)) != 0; }
  };
  // Nothing when there is no such key.
  std::optional<Grant> judge(std::string_view key) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest_of(std::string_view key);
  static std::string publisher_name(std::string_view key);

  struct Row {
    Digest digest;
    Grant grant;
  };
  std::vector<Row> rows_;
};

}  // namespace tidewire::api
