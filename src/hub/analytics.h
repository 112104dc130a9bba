// What a shard tells of the recent past, and what it is made of (protocol §8, websocket-analytics).
//
// Values only. Whoever detects anomalies or guards a circuit fills AnomalyNote and CircuitNote
// (api::Hooks::anomalies and ::circuits); everything else the shard counts itself.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "guard/circuit_breaker.h"
#include "hub/types.h"

namespace tidewire::hub {

// Something unusual about a user, an address or the population.
struct AnomalyNote {
  std::int64_t unix_ms = 0;
  TenantId tenant = 0;
  std::string kind;      // of a small fixed set: "burst", "errors", ...
  std::string user;      // its id; empty: anonymous or not one user's
  std::string address;   // empty: not told
  double score = 0;      // how unusual, by the detector's own measure
  std::string evidence;  // a sentence with the numbers
  std::string action;    // what followed: "report", "slow", "refuse"
};

// What a circuit breaker guards, its state now and what became of it, oldest first.
struct CircuitNote {
  struct Step {
    std::int64_t unix_ms = 0;
    guard::CircuitTransition transition;
  };
  std::string name;  // "directory", "jwks default", ...
  guard::CircuitState state = guard::CircuitState::closed;
  std::vector<Step> steps;
};

}  // namespace tidewire::hub
