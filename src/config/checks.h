// Rules between settings, and between a setting and the machine: what a single value's type cannot say.
#pragma once

#include "config/schema.h"
#include "config/settings.h"

namespace tidewire::config {

// Adds what is wrong to `problems`, and what is merely unwise to `warnings`.
void check(const Settings& settings, const Places& places, Report& problems, Report& warnings);

}  // namespace tidewire::config
