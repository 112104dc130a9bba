// Which value is meant for which key: the file's tables, TIDEWIRE_ variables and flags brought into one
// list per owner, in the order in which they win over each other. Knows names, not types.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/load.h"
#include "config/schema.h"

namespace tidewire::config {

struct Assignment {
  std::string name;  // Field::name
  Value value;
  Place place;
  std::string origin;  // as in Loaded::origins
};

struct Collected {
  std::vector<Assignment> settings;
  std::map<std::string, std::vector<Assignment>>
      namespaces;  // a name without assignments exists all the same
  std::map<std::string, std::vector<Assignment>> tenants;
  Places places;  // of the namespaces and tenants themselves
};

// Unknown keys of the file are problems, unknown variables warnings.
void collect_file(const Value::Table& file, const std::string& source, Collected& out, Report& problems);
void collect_environment(const LoadInput& input, Collected& out, Report& problems, Report& warnings);
void collect_flags(const LoadInput& input, Collected& out, Report& problems);

}  // namespace tidewire::config
