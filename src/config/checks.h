// Rules between settings, and between a setting and the machine: what a single value's type cannot say.
#pragma once

#include <map>
#include <string>

#include "config/schema.h"
#include "config/settings.h"

namespace tidewire::config {

// Full key -> where it was set.
using Places = std::map<std::string, Place, std::less<>>;

// Adds what is wrong to `problems`, and what is merely unwise to `warnings`.
void check(const Settings& settings, const Places& places, Report& problems, Report& warnings);

}  // namespace tidewire::config
