#include "auth/identity.h"

#include <algorithm>

#include "base/characters.h"
#include "base/json_text.h"

namespace tidewire::auth {

bool valid_user_id(std::string_view id) {
  constexpr std::size_t kMaxBytes = 200;
  return !id.empty() && id.size() <= kMaxBytes && std::ranges::all_of(id, is_channel_character);
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
