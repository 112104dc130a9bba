#include "auth/jwt.h"

#include <cmath>

#include "base/base64url.h"

namespace tidewire::auth {

namespace {

struct Segments {
  std::string_view header, claims, signature, signing_input;
};

std::optional<Segments> split(std::string_view token) {
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
    return std::nullopt;
  return Segments{token.substr(0, first), token.substr(first + 1, second - first - 1),
                  token.substr(second + 1), token.substr(0, second)};
}

std::optional<JsonValue> object_in(std::string_view segment) {
  const std::optional<std::string> text = base64url_decode(segment);
  if (!text) return std::nullopt;
  std::optional<JsonValue> value = parse_json(*text, kMaxTokenDepth);
  if (!value || !value->is_object()) return std::nullopt;
  return value;
}

// A NumericDate (RFC 7519 §2): seconds since 1970, fractions allowed. False where it is no number.
bool read_time(const JsonValue& claims, std::string_view name, std::optional<std::int64_t>& time_ms) {
  const JsonValue* value = claims.find(name);
  if (value == nullptr) return true;
  if (!value->is_number()) return false;
  constexpr std::int64_t kMaxSeconds = kMaxTokenTimeMs / 1000;
  if (value->is_integer() && value->integer >= -kMaxSeconds && value->integer <= kMaxSeconds)
    time_ms = value->integer * 1000;
  else
    time_ms = static_cast<std::int64_t>(std::clamp(std::floor(value->number * 1000.0),
                                                   -static_cast<double>(kMaxTokenTimeMs),
                                                   static_cast<double>(kMaxTokenTimeMs)));
  return true;
}

}  // namespace

Result<DecodedJwt> decode_jwt(std::string_view token) {
  if (token.empty()) return fail(ErrorCode::token_missing);
  if (token.size() > kMaxTokenBytes)
    return fail(ErrorCode::token_malformed, "the token is longer than 8192 bytes");
  const std::optional<Segments> segments = split(token);
  if (!segments && token.starts_with("tw_"))
    return fail(ErrorCode::token_malformed,
                "this is an API key, which is for HTTP calls; a connection needs a user's token (JWT)");
  if (!segments) return fail(ErrorCode::token_malformed, "the token has not three segments");
  std::optional<std::string> signature = base64url_decode(segments->signature);
  if (!signature) return fail(ErrorCode::token_malformed, "the token's signature is not base64url");
  const std::optional<JsonValue> header = object_in(segments->header);
  if (!header)
    return fail(ErrorCode::token_malformed, "the token's header is not a JSON object in base64url");
  std::optional<JsonValue> claims = object_in(segments->claims);
  if (!claims)
    return fail(ErrorCode::token_malformed, "the token's claims are not a JSON object in base64url");

  DecodedJwt jwt;
  if (!read_time(*claims, "exp", jwt.expires_at_ms) || !read_time(*claims, "nbf", jwt.not_before_ms) ||
      !read_time(*claims, "iat", jwt.issued_at_ms))
    return fail(ErrorCode::token_malformed, "`exp`, `nbf` or `iat` of the token is not a number");

  const JsonValue* alg = header->find("alg");
  const std::optional<Algorithm> algorithm =
      alg != nullptr && alg->is_string() ? parse_algorithm(alg->string) : std::nullopt;
  if (!algorithm) return fail(ErrorCode::token_invalid, "the token's algorithm is not accepted");
  if (header->find("crit") != nullptr)
    return fail(ErrorCode::token_invalid, "the token demands an extension (`crit`) that is not known");
  if (const JsonValue* kid = header->find("kid"); kid != nullptr) {
    if (!kid->is_string()) return fail(ErrorCode::token_invalid, "the token's `kid` is not a string");
    jwt.kid = kid->string;
  }
  jwt.algorithm = *algorithm;
  jwt.claims = *std::move(claims);
  jwt.signing_input = segments->signing_input;
  jwt.signature = *std::move(signature);
  return jwt;
}

std::optional<std::string> claimed_tenant(std::string_view token) {
  if (token.size() > kMaxTokenBytes) return std::nullopt;
  const std::optional<Segments> segments = split(token);
  if (!segments) return std::nullopt;
  const std::optional<JsonValue> claims = object_in(segments->claims);
  if (!claims) return std::nullopt;
  const JsonValue* tidewire = claims->find("tidewire");
  const JsonValue* tenant = tidewire != nullptr ? tidewire->find("tenant") : nullptr;
  if (tenant == nullptr || !tenant->is_string()) return std::nullopt;
  return tenant->string;
}

}  // namespace tidewire::auth
