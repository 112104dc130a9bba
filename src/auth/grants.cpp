#include "auth/grants.h"

#include <fmt/format.h>

#include "auth/json_value.h"

namespace tidewire::auth {

namespace {

constexpr std::string_view kUserPlaceholder = "{user}";

std::string with_user(std::string_view pattern, std::string_view user_id) {
  std::string out;
  for (;;) {
    const std::size_t at = pattern.find(kUserPlaceholder);
    out.append(pattern.substr(0, at));
    if (at == std::string_view::npos) return out;
    out.append(user_id);
    pattern.remove_prefix(at + kUserPlaceholder.size());
  }
}

}  // namespace

bool matches(std::string_view pattern, std::string_view text) {
  std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  text.remove_prefix(star);
  pattern.remove_prefix(star + 1);
  // The leftmost fit of a piece leaves most room for the pieces after it, so no other need be tried.
  for (star = pattern.find('*'); star != std::string_view::npos; star = pattern.find('*')) {
    const std::string_view piece = pattern.substr(0, star);
    const std::size_t at = text.find(piece);
    if (at == std::string_view::npos) return false;
    text.remove_prefix(at + piece.size());
    pattern.remove_prefix(star + 1);
  }
  return text.ends_with(pattern);
}

bool allows(std::span<const Grant> grants, Action action, std::string_view channel) {
  for (const Grant& grant : grants)
    if ((grant.actions & static_cast<std::uint8_t>(action)) != 0 && matches(grant.channels, channel))
      return true;
  return false;
}

std::uint8_t action_bit(std::string_view name) {
  if (name == "subscribe") return static_cast<std::uint8_t>(Action::subscribe);
  if (name == "publish") return static_cast<std::uint8_t>(Action::publish);
  if (name == "presence") return static_cast<std::uint8_t>(Action::presence);
  if (name == "history") return static_cast<std::uint8_t>(Action::history);
  return 0;
}

Result<std::vector<Grant>> parse_grants(const JsonValue& grants, std::string_view user_id) {
  if (!grants.is_array()) return fail(ErrorCode::token_invalid, "the token's grants are not an array");
  if (grants.elements.size() > kMaxGrants)
    return fail(ErrorCode::token_invalid, fmt::format("the token has more than {} grants", kMaxGrants));
  std::vector<Grant> parsed;
  parsed.reserve(grants.elements.size());
  for (const JsonValue& entry : grants.elements) {
    const JsonValue* channels = entry.find("channels");
    const JsonValue* actions = entry.find("do");
    if (channels == nullptr || !channels->is_string() || actions == nullptr || !actions->is_array())
      return fail(ErrorCode::token_invalid, "a grant of the token has no string `channels` and array `do`");
    Grant grant{.channels = with_user(channels->string, user_id)};
    if (grant.channels.empty() || grant.channels.size() > kMaxGrantPatternBytes)
      return fail(
          ErrorCode::token_invalid,
          fmt::format("a grant's `channels` is empty or longer than {} bytes", kMaxGrantPatternBytes));
    for (const JsonValue& action : actions->elements) {
      if (!action.is_string())
        return fail(ErrorCode::token_invalid, "a grant's `do` holds something that is no string");
      grant.actions = static_cast<std::uint8_t>(grant.actions | action_bit(action.string));
    }
    parsed.push_back(std::move(grant));
  }
  return parsed;
}

}  // namespace tidewire::auth
