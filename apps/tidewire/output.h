// What the program's commands print: never an exception and never a silent loss, whatever the standard
// streams are connected to.
#pragma once

#include <string_view>

namespace tidewire {

// Puts /dev/null at the standard descriptors that are closed, so that no file and no socket gets their
// number and what is meant for them. Standard output stays one that can't be written to.
void hold_standard_descriptors();

// To standard output, flushed. False, after a word on standard error, where it could not be written whole.
[[nodiscard]] bool print_out(std::string_view text);

// A line to standard error; what can't be written there can't be told anywhere.
void complain(std::string_view line);

}  // namespace tidewire
