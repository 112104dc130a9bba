// A JSON Web Token taken apart, not yet verified (RFC 7515 §7.1, RFC 7519).
//
// Nothing in it may be believed before a key has verified the signature over `signing_input`. The
// views point into the token, which must outlive this. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "auth/algorithm.h"
#include "auth/json_value.h"
#include "base/error.h"

namespace tidewire::auth {

inline constexpr std::size_t kMaxTokenBytes = 8192;
inline constexpr std::size_t kMaxTokenDepth = 32;
// Times in claims are clamped to plus or minus this, so that arithmetic on them can't overflow.
inline constexpr std::int64_t kMaxTokenTimeMs = (std::int64_t{1} << 53) - 1;

struct DecodedJwt {
  Algorithm algorithm = Algorithm::HS256;
  std::optional<std::string> kid = {};
  JsonValue claims;                                // an object
  std::optional<std::int64_t> expires_at_ms = {};  // `exp`, fractions rounded down to a millisecond
  std::optional<std::int64_t> not_before_ms = {};  // `nbf`
  std::optional<std::int64_t> issued_at_ms = {};   // `iat`
  std::string_view signing_input = {};             // the first two segments and the dot between
  std::string signature = {};                      // raw bytes
};

// Protocol §2. token_missing: empty. token_malformed: over kMaxTokenBytes, not three segments of
// canonical base64url, header or claims not a JSON object or with a member twice, `exp`, `nbf` or
// `iat` not a number. token_invalid: an algorithm that is none of ours, any `crit`, a `kid` that is
// not a string. Messages never repeat any part of the token.
Result<DecodedJwt> decode_jwt(std::string_view token);

// The tenant that an unverified token claims (`tidewire.tenant`): it only chooses whose keys to try.
// nullopt where the token has none or can't be read.
std::optional<std::string> claimed_tenant(std::string_view token);

}  // namespace tidewire::auth
