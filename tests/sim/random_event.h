// What somebody might publish to a channel of a folding kind: mostly good, sometimes not.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace tidewire::sim {

class World;

// The members of a `publish` besides `type` and `channel`.
nlohmann::json random_event(World& world, const std::string& channel);
// One that every channel of its kind takes as long as it takes any.
nlohmann::json last_event(World& world, const std::string& channel);

}  // namespace tidewire::sim
