// Making tokens, for tests and for `tidewire token` (protocol §9). The server itself never mints.
//
// Pure: the time is an argument, and only HMAC algorithms are made, which need no randomness.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "auth/algorithm.h"
#include "base/development.h"
#include "base/time.h"

namespace tidewire::auth {

using MintUser = std::variant<std::int64_t, std::string>;

struct MintGrant {
  std::string channels = {};
  std::vector<std::string> actions = {};
  friend bool operator==(const MintGrant&, const MintGrant&) = default;
};

struct MintClaim {
  std::string name = {};
  std::string json = {};  // the value as JSON text
  friend bool operator==(const MintClaim&, const MintClaim&) = default;
};

struct MintOptions {
  MintUser user = {};
  std::string type = {};                   // empty: no such claim
  std::optional<std::int64_t> ttl_s = {};  // `exp` - `iat`, at least 1; nullopt: no `exp`
  Algorithm algorithm = Algorithm::HS256;  // HS256, HS384 or HS512
  std::string secret = std::string(kDevelopmentSecret);
  std::string kid = {};     // empty: none
  std::string tenant = {};  // empty: none
  std::vector<MintGrant> grants = {};
  // Replace the claims above of the same name; the last one counts. But one called `tidewire` gets tenant and
  // grants into it, and must be an object that has none of its own then.
  std::vector<MintClaim> claims = {};
};

// The token, or a sentence saying which option can't be. `claims` values must be JSON.
std::expected<std::string, std::string> mint(const MintOptions& options, Time now);

// `--user`: an integer in its shortest spelling is a number, as in JSON; anything else a string, and
// so is what stands in double quotes (`"1"`). The error is a sentence for the command line.
std::expected<MintUser, std::string> parse_user_argument(std::string_view argument);

// `--grant 'room:*=subscribe,publish'`. Cut at the last `=`, since a channel may hold one.
std::expected<MintGrant, std::string> parse_grant_argument(std::string_view argument);

// `--claim k=v`: cut at the first `=`; a value that is JSON is taken as such (`true`, `5`,
// `{"a":1}`), any other is a string.
std::expected<MintClaim, std::string> parse_claim_argument(std::string_view argument);

}  // namespace tidewire::auth
