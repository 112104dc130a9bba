// From a token to an identity, or to the reason why not: the one judge of tokens of a tenant.
//
// Each shard has its own Verifier with its own cache; rings are shared and immutable, revocations are
// pushed into the shard's list. So there is no lock. No clock, no socket: a missing key is reported,
// and the caller decides whether to fetch. Owned by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/identity.h"
#include "auth/key_ring.h"
#include "auth/revocation.h"
#include "auth/token_cache.h"
#include "base/error.h"
#include "base/time.h"

namespace tidewire::auth {

struct DecodedJwt;

enum class Preset : std::uint8_t {
  none,
  // Supabase Auth: audience `authenticated` unless configured; where the type claim is absent the one in
  // `app_metadata`, else `role`; `app_metadata.tidewire` where the token has no `tidewire`; and never
  // anything from `user_metadata`, which users write themselves. The roles `anon` and `service_role` are
  // a project's API keys and no users. Its HS256 tokens carry a `kid` that the shared secret does not
  // have, so there a nameless key answers to any name.
  supabase,
};

struct VerifierOptions {
  std::string tenant = "default";
  std::string issuer = {};                 // empty: any
  std::vector<std::string> audience = {};  // empty: any; else one of them must be in `aud`
  std::int64_t leeway_ms = 0;              // for `exp` and `nbf`
  bool require_exp = false;
  std::string user_claim = "sub";
  std::string type_claim = "type";
  std::string name_claim = {};  // empty: identities have no name
  Preset preset = Preset::none;
  std::size_t cache_entries = 65536;
  std::size_t cache_bytes = 32 * 1024 * 1024;
  DigestKey digest_key{};  // must be random where tokens come from outside
};

struct AuthFailure {
  Error error = {};  // what to answer: a token_* code, or unavailable
  // True where a JWKS is configured and reading it (again) could change the answer: the caller may
  // ask its JwksRefresher, verify again after set_keys(), and else answers `error`.
  bool needs_keys = false;
};

class Verifier {
 public:
  using Verdict = std::expected<IdentityPtr, AuthFailure>;

  // None of the pointers may be null; `revocations` is the shard's.
  Verifier(VerifierOptions options, std::shared_ptr<const KeyRing> keys,
           std::shared_ptr<const RevocationList> revocations);

  // Protocol §2 and §6. Faults are named in this order: missing, malformed, algorithm, key, signature,
  // issuer, audience, tenant, user, type, grants (all token_invalid), expired, not yet valid, revoked.
  Verdict verify(std::string_view token, Time now);

  // Judges an identity again by what may change while a connection lives: expiry and revocation.
  Result<void> still_good(const Identity& identity, Time now) const;

  // Replaces the ring, and forgets every cached token unless the new one verifies the same tokens.
  void set_keys(std::shared_ptr<const KeyRing> keys);

  // Replaces the options (reload), and forgets every cached token.
  void set_options(VerifierOptions options);

  struct Counts {
    std::uint64_t hits = 0;        // answered from the cache
    std::uint64_t signatures = 0;  // signatures computed or checked
  };
  const Counts& counts() const { return counts_; }
  std::size_t cached() const { return cache_.size(); }
  const VerifierOptions& options() const { return options_; }

 private:
  std::expected<void, AuthFailure> check_signature(const DecodedJwt& jwt);
  Result<Identity> identity_of(const DecodedJwt& jwt);
  Result<void> check_now(const Identity& identity, MaybeTime not_before_ms, Time now) const;
  void forget_tokens() { cache_ = TokenCache(options_.cache_entries, options_.cache_bytes); }

  VerifierOptions options_;
  SharedText tenant_;     // of options_, shared by all identities
  SharedText last_type_;  // of the last identity; the next one's is the same, as a rule
  std::shared_ptr<const KeyRing> keys_;
  std::shared_ptr<const RevocationList> revocations_;
  TokenCache cache_;
  Counts counts_;
};

}  // namespace tidewire::auth
