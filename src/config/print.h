// Settings as readable TOML, for `tidewire config print`.
#pragma once

#include <string>

#include "config/load.h"
#include "config/settings.h"

namespace tidewire::config {

// Every key with its default, unit and meaning, as a TOML file with comments.
std::string print_defaults();

// The values in force, with a comment where each one that is set came from. Secrets are masked.
std::string print_effective(const Loaded& loaded);

}  // namespace tidewire::config
