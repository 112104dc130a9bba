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

Place place_of(const Places& places, std::string_view key) {
  for (;;) {
    if (const auto at = places.find(key); at != places.end()) return at->second;
    const std::size_t cut = key.find_last_of(".[");
    if (cut == key.npos) return {"default", 0};
    key = key.substr(0, cut);
  }
}

}  // namespace tidewire::config
