#include "config/problem.h"

#include <fmt/format.h>

namespace tidewire::config {

std::string ConfigProblem::to_string() const {
  std::string out = source;
  if (line != 0) out += fmt::format(":{}", line);
  if (!out.empty()) out += ": ";
  if (!key.empty()) out += key + ": ";
  return out + message;
}

}  // namespace tidewire::config
