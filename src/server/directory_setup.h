// The user directory as the settings describe it (`directory.*`, `circuit.*`).
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "api/options.h"
#include "config/settings.h"
#include "directory/user_directory.h"

namespace tidewire::server {

guard::KnownUsersOptions known_users_options(const config::Settings& settings);
guard::CircuitOptions circuit_options(const config::Settings& settings);

// What is wrong with `directory.url` beyond its scheme, as the end of a sentence that begins with the key.
std::expected<void, std::string> check_directory(const config::Settings& settings);

// Null without `directory.url`. Of settings that check_directory() has found good.
std::unique_ptr<directory::UserDirectory> start_directory(const config::Settings& settings,
                                                          guard::KnownUsers& known,
                                                          guard::CircuitBoard& board,
                                                          directory::UserDirectory::Tell tell);

// How it does, for /api/health/detailed and /metrics.
api::Component directory_health(const directory::UserDirectory& directory, const guard::CircuitBoard& board);
void add_directory_metrics(telemetry::Snapshot& snapshot, const directory::UserDirectory& directory,
                           guard::KnownUsers& known);

// The circuits as one component: degraded while one is not closed, or what it guards has failed last.
api::Component circuit_health(const guard::CircuitBoard& board);
void add_circuit_metrics(telemetry::Snapshot& snapshot, const guard::CircuitBoard& board);

}  // namespace tidewire::server
