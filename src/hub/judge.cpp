#include "hub/judge.h"

#include <algorithm>

namespace tidewire::hub {

namespace {
// However long the circuit stays open, whoever waits looks again.
constexpr std::int64_t kLongestRetryMs = 60'000;
}  // namespace

Error directory_unavailable(const guard::KnownUsers* users, const Time& now) {
  Error error = fail(ErrorCode::unavailable, "the user directory could not be asked").error();
  if (const std::int64_t until_ms = users != nullptr ? users->away_until_ms() : 0; until_ms != 0)
    error.retry_after_ms = std::clamp<std::int64_t>(until_ms - now.mono_ms(), 1, kLongestRetryMs);
  return error;
}

std::string_view inbox_user(const Namespace& ns, std::string_view channel) {
  return ns.kind == Kind::inbox ? channel.substr(channel.find(':') + 1) : std::string_view();
}

std::optional<Error> inbox_refusal(guard::UserState state, const guard::KnownUsers* users, const Time& now) {
  switch (state) {
    case guard::UserState::exists:
      return std::nullopt;
    case guard::UserState::absent:
      return fail(ErrorCode::user_not_found).error();
    case guard::UserState::unavailable:
      break;
  }
  return directory_unavailable(users, now);
}

std::optional<guard::UserState> state_of_user(guard::KnownUsers* users, const guard::LimitKey& key,
                                              const Time& now, const Awaited& awaited) {
  if (users == nullptr) return guard::UserState::exists;
  if (awaited.user && awaited.user->key == key) return awaited.user->state;
  return users->find(key, now.mono_ms());
}

std::expected<auth::IdentityPtr, Refusal> judge_token(Tenant& tenant, guard::KnownUsers* users,
                                                      const guard::LimitKeys& keys, std::string_view token,
                                                      const Time& now, const Awaited& awaited,
                                                      AskDirectory ask) {
  auto verdict = tenant.verifier.verify(token, now);
  if (!verdict) {
    const bool wait = verdict.error().needs_keys && !awaited.keys;
    return std::unexpected(
        Refusal{.error = std::move(verdict.error().error), .wait = wait ? Wait::keys : Wait::no});
  }
  if (users == nullptr) return *std::move(verdict);
  const guard::LimitKey key = keys.user(tenant.name, (*verdict)->user_id);
  const bool told = awaited.user && awaited.user->key == key;
  std::optional<guard::UserState> state;
  if (told || ask == AskDirectory::if_unknown) state = state_of_user(users, key, now, awaited);
  if (!state) return std::unexpected(Refusal{.wait = Wait::user, .identity = *std::move(verdict)});
  switch (*state) {
    case guard::UserState::exists:
      return *std::move(verdict);
    case guard::UserState::absent:
      return std::unexpected(Refusal{.error = fail(ErrorCode::user_not_found).error()});
    case guard::UserState::unavailable:
      break;
  }
  return std::unexpected(Refusal{.error = directory_unavailable(users, now)});
}

}  // namespace tidewire::hub
