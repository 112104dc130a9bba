// What a token comes to: the verifier's verdict on it, and whether its user exists (protocol §2). The one
// way of judging for WebSockets, event streams and HTTP calls, so that they never disagree about a user.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string_view>

#include "guard/known_users.h"
#include "guard/limit_key.h"
#include "hub/tenant.h"

namespace tidewire::hub {

// What was waited for before a request is judged again.
struct Awaited {
  struct User {
    guard::LimitKey key;
    guard::UserState state = guard::UserState::unavailable;
  };
  bool keys = false;              // the tenant's key set was fetched, or could not be
  std::optional<User> user = {};  // the directory has answered for this one

  bool anything() const { return keys || user.has_value(); }
};

enum class Wait : std::uint8_t { no, keys, user };

struct Refusal {
  Error error = {};
  Wait wait = Wait::no;             // for what to wait before judging again; then there is no error
  auth::IdentityPtr identity = {};  // with Wait::user: who
};

// Whether what is known of the user will do, or the directory is asked in any case.
enum class AskDirectory : std::uint8_t { if_unknown, always };

// Without a directory (`users` is null) every user exists.
std::expected<auth::IdentityPtr, Refusal> judge_token(Tenant& tenant, guard::KnownUsers* users,
                                                      const guard::LimitKeys& keys, std::string_view token,
                                                      const Time& now, const Awaited& awaited,
                                                      AskDirectory ask = AskDirectory::if_unknown);

// Nothing where the directory must be asked first.
std::optional<guard::UserState> state_of_user(guard::KnownUsers* users, const guard::LimitKey& key,
                                              const Time& now, const Awaited& awaited);

// With the time until the directory is asked again, where that is known; `users` may be null.
Error directory_unavailable(const guard::KnownUsers* users, const Time& now);

// Whose inbox a channel is; empty where it is none.
std::string_view inbox_user(const Namespace& ns, std::string_view channel);

// A publish to the inbox of a user whom the directory says this of is refused; nothing where it may go on.
std::optional<Error> inbox_refusal(guard::UserState state, const guard::KnownUsers* users, const Time& now);

}  // namespace tidewire::hub
