// Settings that a server can be made of: what they name is there and fits, beyond their own text.
#pragma once

#include <expected>
#include <vector>

#include "config/load.h"

namespace tidewire::server {

// config::load(), and then the key files, the certificate and its key, and the directory's connection
// string are looked at; connects to nothing. Usable on any thread.
std::expected<config::Loaded, std::vector<config::ConfigProblem>> load_checked(
    const config::LoadInput& input);

}  // namespace tidewire::server
