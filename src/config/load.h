// From a file, the environment and flags to checked settings. Protocol §9.
//
// A flag wins over the environment, the environment over the file, the file over the defaults of the
// profile. Every problem is reported, not the first alone. Reads the file, and looks whether the PEM
// files that it names can be read; keeps nothing. Usable on any thread.
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/problem.h"
#include "config/settings.h"

namespace tidewire::config {

struct Flag {
  std::string name;   // as typed, "--listen"
  std::string key;    // "server.listen"
  std::string value;  // in the syntax of an environment variable
};

struct LoadInput {
  std::optional<std::string> file = {};  // a TOML file's path
  std::optional<std::string> text = {};  // TOML in place of a file's content; `file` then only names it
  std::vector<std::pair<std::string, std::string>> environment =
      {};  // names other than TIDEWIRE_* are skipped
  std::vector<Flag> flags = {};
  bool dev = false;
};

struct Loaded {
  Settings settings;
  std::vector<ConfigProblem> warnings;
  // Where each value that is not the default came from: "tidewire.toml:12", "TIDEWIRE_LIMITS_BURST",
  // "--listen".
  std::map<std::string, std::string, std::less<>> origins;
  Places places;

  // Whether somebody set this key (a full one, such as "namespaces.room.kind").
  bool is_set(std::string_view key) const { return origins.find(key) != origins.end(); }
};

std::expected<Loaded, std::vector<ConfigProblem>> load(const LoadInput& input);

// The process environment in the form that LoadInput takes, TIDEWIRE_* only.
std::vector<std::pair<std::string, std::string>> read_environment();

}  // namespace tidewire::config
