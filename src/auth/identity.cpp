#include "auth/identity.h"

#include "base/json_text.h"

namespace tidewire::auth {

bool valid_user_id(std::string_view id) {
  constexpr std::size_t kMaxBytes = 200;
  constexpr std::string_view kPunctuation = "._-:@=,;!~+/#";
  if (id.empty() || id.size() > kMaxBytes) return false;
  for (const char c : id) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && kPunctuation.find(c) == std::string_view::npos) return false;
  }
  return true;
}

void append_user_id_json(std::string& out, const Identity& identity) {
  if (identity.id_is_number)
    out += identity.user_id.view();
  else
    append_json_string(out, identity.user_id);
}

void append_user_json(std::string& out, const Identity& identity) {
  out += "{\"id\":";
  append_user_id_json(out, identity);
  out += ",\"type\":";
  append_json_string(out, identity.type);
  if (!identity.name.empty()) {
    out += ",\"name\":";
    append_json_string(out, identity.name);
  }
  out += '}';
}

}  // namespace tidewire::auth
