// Who a verified token says somebody is (protocol §1 "user", §2, §7 "Grants").
//
// Immutable once made; shared as shared_ptr<const Identity> between a shard's sessions and its cache.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/grants.h"

namespace tidewire::auth {

struct Identity {
  std::string user_id = {};   // the string form: identity is this, `1` and `"1"` are one user
  bool id_is_number = false;  // how the token spelled it, kept on the wire
  std::string type = "user";
  std::string name = {};  // empty: none, or not configured
  std::optional<std::int64_t> expires_at_ms = {};
  std::optional<std::int64_t> issued_at_ms = {};
  std::vector<Grant> grants = {};
  std::string tenant = {};

  bool allows(Action action, std::string_view channel) const { return auth::allows(grants, action, channel); }
};

// 1 to 200 bytes of the characters that a channel name may hold.
bool valid_user_id(std::string_view id);

// An id given as a number lies within plus or minus this (2^53-1).
inline constexpr std::int64_t kMaxNumericUserId = (std::int64_t{1} << 53) - 1;

// Appends `{"id":1,"type":"creator","name":"Ada"}`, `name` only where there is one.
void append_user_json(std::string& out, const Identity& identity);

// Appends the id alone, as the token spelled it: `1` or `"1"`.
void append_user_id_json(std::string& out, const Identity& identity);

}  // namespace tidewire::auth
