// Finds characters that TOML allows in quotes alone, before the library sees the text: at such a place
// its own look-up of white space has undefined behaviour (version 3.3).
#pragma once

#include <cstddef>
#include <string_view>

namespace tidewire::config {

// The offset of the first byte outside strings and comments that is neither printable ASCII nor white
// space, or npos. Right for every text that is valid up to that byte, which is as far as a parser reads.
std::size_t find_stray_character(std::string_view text);

}  // namespace tidewire::config
