// What is wrong with a configuration: one finding, with the place where the value came from.
#pragma once

#include <cstdint>
#include <string>

namespace tidewire::config {

struct ConfigProblem {
  std::string key;     // "limits.burst"; empty where the file as a whole is meant
  std::string source;  // the file's name, "environment variable TIDEWIRE_...", "flag --listen", or "default"
  std::int64_t line = 0;  // in the file; 0: none
  std::string message;

  // "tidewire.toml:12: limits.burst: must be at least 1"
  std::string to_string() const;
  friend bool operator==(const ConfigProblem&, const ConfigProblem&) = default;
};

}  // namespace tidewire::config
