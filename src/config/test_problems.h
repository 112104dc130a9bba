// Problems of a configuration as a user reads them, for tests.
#pragma once

#include <string>
#include <vector>

#include "config/problem.h"

namespace tidewire::config {

inline std::vector<std::string> lines_of(const std::vector<ConfigProblem>& problems) {
  std::vector<std::string> out;
  for (const ConfigProblem& problem : problems) out.push_back(problem.to_string());
  return out;
}

}  // namespace tidewire::config
