// Grants: what a token allows beyond its namespace's rules (protocol §7).
//
// Invariant: `{user}` is already replaced by the id that the token proves, so matching needs nothing
// but the channel's name. Grants only ever add rights. Value types, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tidewire::auth {

class JsonValue;

inline constexpr std::size_t kMaxGrants = 64;
inline constexpr std::size_t kMaxGrantPatternBytes = 512;  // after `{user}` is replaced

enum class Action : std::uint8_t { subscribe = 1, publish = 2, presence = 4, history = 8 };

struct Grant {
  std::string channels = {};  // a pattern in which only `*` is special
  std::uint8_t actions = 0;   // bits of Action

  friend bool operator==(const Grant&, const Grant&) = default;
};

// Whether `*` in `pattern`, standing for any run of bytes, makes it `text`. No backtracking beyond
// the leftmost fit of each piece.
bool matches(std::string_view pattern, std::string_view text);

// Whether some grant allows this. Channels that begin with `$` are the caller's to refuse.
bool allows(std::span<const Grant> grants, Action action, std::string_view channel);

// Reads the `grants` array of the `tidewire` claim. token_invalid: another shape, over the bounds
// above, an empty pattern. Names in `do` that this version does not know grant nothing.
Result<std::vector<Grant>> parse_grants(const JsonValue& grants, std::string_view user_id);

// Bits of Action for a name such as "publish"; 0 where there is none.
std::uint8_t action_bit(std::string_view name);

}  // namespace tidewire::auth
