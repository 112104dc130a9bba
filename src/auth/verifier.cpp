#include "auth/verifier.h"

#include "auth/jwt.h"
#include "base/check.h"
#include "base/json_text.h"

namespace tidewire::auth {

namespace {

constexpr std::size_t kMaxTypeBytes = 64;
constexpr std::size_t kMaxNameBytes = 256;
constexpr std::int64_t kKeysRetryAfterMs = 5000;

std::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::token_invalid, std::move(message));
}

bool audience_fits(const JsonValue* aud, const std::vector<std::string>& wanted) {
  if (aud == nullptr) return false;
  const auto is_wanted = [&](const JsonValue& v) {
    return v.is_string() && std::find(wanted.begin(), wanted.end(), v.string) != wanted.end();
  };
  return is_wanted(*aud) || std::any_of(aud->elements.begin(), aud->elements.end(), is_wanted);
}

Result<void> read_user(const JsonValue* claim, Identity& identity) {
  if (claim == nullptr) return refuse("the token names no user");
  if (claim->is_integer()) {
    if (claim->integer > kJsonIntegerMax || claim->integer < -kJsonIntegerMax)
      return refuse("the token's user id is too large a number");
    identity.user_id = std::to_string(claim->integer);
    identity.id_is_number = true;
    return {};
  }
  if (!claim->is_string() || !valid_user_id(claim->string))
    return refuse("the token's user id is neither an integer nor a string of 1 to 200 channel characters");
  identity.user_id = claim->string;
  return {};
}

// The rights in the token: the `tidewire` claim.
Result<void> read_rights(const JsonValue* tidewire, std::string_view tenant, Identity& identity) {
  if (tidewire == nullptr) return {};
  if (!tidewire->is_object()) return refuse("the token's `tidewire` is not an object");
  if (const JsonValue* named = tidewire->find("tenant"); named != nullptr)
    if (!named->is_string() || named->string != tenant) return refuse("the token is for another tenant");
  if (const JsonValue* grants = tidewire->find("grants"); grants != nullptr) {
    Result<std::vector<Grant>> parsed = parse_grants(*grants, identity.user_id);
    if (!parsed) return std::unexpected(parsed.error());
    identity.grants = *std::move(parsed);
  }
  return {};
}

bool is_supabase_key(const JsonValue* role) {
  return role != nullptr && role->is_string() && (role->string == "anon" || role->string == "service_role");
}

const JsonValue* find_path(const JsonValue& claims, std::string_view outer, std::string_view inner) {
  const JsonValue* object = claims.find(outer);
  return object != nullptr ? object->find(inner) : nullptr;
}

}  // namespace

Verifier::Verifier(VerifierOptions options, std::shared_ptr<const KeyRing> keys,
                   std::shared_ptr<const RevocationList> revocations)
    : options_(std::move(options)),
      tenant_(options_.tenant),
      keys_(std::move(keys)),
      revocations_(std::move(revocations)),
      cache_(options_.cache_entries, options_.cache_bytes) {
  TIDEWIRE_CHECK(keys_ && revocations_);
}

Verifier::Verdict Verifier::verify(std::string_view token, Time now) {
  if (token.empty()) return std::unexpected(AuthFailure{fail(ErrorCode::token_missing).error()});
  // The decoder names this one; a longer token is not worth hashing.
  const bool worth_a_look = token.size() <= kMaxTokenBytes;
  const TokenDigest digest = worth_a_look ? digest_of(options_.digest_key, token) : TokenDigest{};
  if (IdentityPtr cached = worth_a_look ? cache_.find(digest) : nullptr) {
    ++counts_.hits;
    if (Result<void> good = still_good(*cached, now); !good) {
      Error error = std::move(good.error());
      if (error.code == ErrorCode::token_expired) cache_.erase(digest);
      return std::unexpected(AuthFailure{std::move(error)});
    }
    return cached;
  }

  Result<DecodedJwt> jwt = decode_jwt(token);
  if (!jwt) return std::unexpected(AuthFailure{std::move(jwt.error())});
  if (auto good = check_signature(*jwt); !good) return std::unexpected(std::move(good.error()));
  Result<Identity> identity = identity_of(*jwt);
  if (!identity) return std::unexpected(AuthFailure{std::move(identity.error())});
  if (Result<void> good = check_now(*identity, jwt->not_before_ms, now); !good)
    return std::unexpected(AuthFailure{std::move(good.error())});

  auto shared = IdentityPtr::make(*std::move(identity));
  cache_.insert(digest, shared);
  return shared;
}

std::expected<void, AuthFailure> Verifier::check_signature(const DecodedJwt& jwt) {
  const bool supabase = options_.preset == Preset::supabase;
  const auto nameless = supabase ? KeyRing::Nameless::always : KeyRing::Nameless::only_without_kid;
  for (const Key* key : keys_->candidates(jwt.kid, jwt.algorithm, nameless)) {
    ++counts_.signatures;
    if (key->verifies(jwt.algorithm, jwt.signing_input, jwt.signature)) return {};
  }
  AuthFailure failure{fail(ErrorCode::token_invalid, "no key of the server verifies the token").error()};
  if (keys_->empty() && keys_->jwks_state() == JwksState::not_configured)
    failure.error.message = "the server has no key to verify tokens with";
  // A published set can't hold a secret, and a name that is known will not get another key by asking.
  if (key_type_of(jwt.algorithm) != KeyType::secret) {
    if (keys_->jwks_state() == JwksState::never_fetched && !(jwt.kid && keys_->knows(*jwt.kid))) {
      failure.needs_keys = true;
      failure.error =
          fail(ErrorCode::unavailable, "the keys that tokens are verified with could not be read").error();
      failure.error.retry_after_ms = kKeysRetryAfterMs;
    } else if (keys_->jwks_state() == JwksState::fetched && jwt.kid && !keys_->knows(*jwt.kid)) {
      failure.needs_keys = true;
    }
  }
  return std::unexpected(std::move(failure));
}

Result<Identity> Verifier::identity_of(const DecodedJwt& jwt) {
  const JsonValue& claims = jwt.claims;
  const bool supabase = options_.preset == Preset::supabase;
  if (!options_.issuer.empty()) {
    const JsonValue* issuer = claims.find("iss");
    if (issuer == nullptr || !issuer->is_string() || issuer->string != options_.issuer)
      return refuse("the token is from another issuer");
  }
  static const std::vector<std::string> kSupabaseAudience = {"authenticated"};
  const std::vector<std::string>& audience =
      supabase && options_.audience.empty() ? kSupabaseAudience : options_.audience;
  if (!audience.empty() && !audience_fits(claims.find("aud"), audience))
    return refuse("the token is for another audience");
  if (options_.require_exp && !jwt.expires_at_ms) return refuse("the token has no `exp`");

  // A project's API keys are tokens of the same secret; they name a role, and nobody.
  if (supabase && is_supabase_key(claims.find("role")))
    return refuse("the token is a project's API key and names no user");

  Identity identity;
  identity.tenant = tenant_;
  identity.expires_at_ms = jwt.expires_at_ms;
  identity.issued_at_ms = jwt.issued_at_ms;
  if (Result<void> good = read_user(claims.find(options_.user_claim), identity); !good)
    return std::unexpected(good.error());

  const JsonValue* type = claims.find(options_.type_claim);
  if (type == nullptr && supabase) {
    // What the application keeps there under this name need not be meant for us.
    type = find_path(claims, "app_metadata", options_.type_claim);
    if (type == nullptr || !type->is_string()) type = claims.find("role");
  }
  if (type != nullptr) {
    if (!type->is_string() || type->string.empty() || type->string.size() > kMaxTypeBytes)
      return refuse("the token's user type is not a string of 1 to 64 bytes");
    if (last_type_ != type->string) last_type_ = type->string;
    identity.type = last_type_;
  }
  const JsonValue* name = options_.name_claim.empty() ? nullptr : claims.find(options_.name_claim);
  if (name != nullptr && !name->is_null()) {
    if (!name->is_string() || name->string.size() > kMaxNameBytes)
      return refuse("the token's user name is not a string of at most 256 bytes");
    identity.name = name->string;
  }
  const JsonValue* rights = claims.find("tidewire");
  if (rights == nullptr && supabase) rights = find_path(claims, "app_metadata", "tidewire");
  if (Result<void> good = read_rights(rights, options_.tenant, identity); !good)
    return std::unexpected(good.error());
  return identity;
}

Result<void> Verifier::check_now(const Identity& identity, MaybeTime not_before_ms, Time now) const {
  // RFC 7519 §4.1.4: on the second of `exp` it is over.
  if (identity.expires_at_ms && now.unix_ms - options_.leeway_ms >= *identity.expires_at_ms)
    return fail(ErrorCode::token_expired);
  if (not_before_ms && now.unix_ms + options_.leeway_ms < *not_before_ms)
    return fail(ErrorCode::token_not_yet_valid);
  if (revocations_->revoked(identity)) return fail(ErrorCode::token_revoked);
  return {};
}

Result<void> Verifier::still_good(const Identity& identity, Time now) const {
  return check_now(identity, MaybeTime(), now);
}

void Verifier::set_keys(std::shared_ptr<const KeyRing> keys) {
  TIDEWIRE_CHECK(keys != nullptr);
  if (keys->fingerprint() != keys_->fingerprint()) forget_tokens();
  keys_ = std::move(keys);
}

void Verifier::set_options(VerifierOptions options) {
  options_ = std::move(options);
  tenant_ = options_.tenant;
  forget_tokens();
}

}  // namespace tidewire::auth
