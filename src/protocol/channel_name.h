// Channel names (protocol §1): `namespace:rest`, 1 to 255 bytes of a fixed set. Pure.
#pragma once

#include <string_view>

namespace tidewire::protocol {

inline constexpr std::size_t kChannelBytesMax = 255;

// A name of the right length, of is_channel_character's, with no empty part. Names that begin with `$` are
// the server's own and valid only as `$all`; see is_server_name.
bool is_valid_channel(std::string_view name);

// True for names that begin with `$`, which no client may use.
inline bool is_server_name(std::string_view name) { return name.starts_with('$'); }

// The part before the first colon; `default` for a name without one.
std::string_view namespace_of(std::string_view channel);

}  // namespace tidewire::protocol
