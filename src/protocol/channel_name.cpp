#include "protocol/channel_name.h"

#include <algorithm>

#include "base/characters.h"

namespace tidewire::protocol {

bool is_valid_channel(std::string_view name) {
  if (name.empty() || name.size() > kChannelBytesMax) return false;
  if (!std::ranges::all_of(name, is_channel_character)) return false;
  const std::size_t colon = name.find(':');
  // Only the parts of `namespace:rest` may not be empty; the rest may hold colons as it likes.
  return colon != 0 && colon != name.size() - 1;
}

std::string_view namespace_of(std::string_view channel) {
  const std::size_t colon = channel.find(':');
  return colon == std::string_view::npos ? std::string_view("default") : channel.substr(0, colon);
}

}  // namespace tidewire::protocol
