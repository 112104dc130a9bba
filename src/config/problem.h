// What is wrong with a configuration: one finding, with the place where the value came from; and where
// every value of a configuration came from.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

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

// Where a value came from; line 0: not from a file.
struct Place {
  std::string source;
  std::int64_t line = 0;
};

// Full key -> where it was set: "limits.burst", "tenants.acme", "api.keys[1]", "api.keys[1].scopes".
using Places = std::map<std::string, Place, std::less<>>;

// Of a key that is not set itself it is the place of what it would stand in: the element of the array,
// the array, the tenant or namespace; else "default".
Place place_of(const Places& places, std::string_view key);

}  // namespace tidewire::config
