#include "guard/code_spans.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "guard/content_scan.h"

namespace tidewire::guard {

namespace {

// Longer ones are no code, so that looking for their partners has a bound.
constexpr std::size_t kLongestRun = 8;

std::size_t run_at(std::string_view json, std::size_t at) {
  return std::min(json.find_first_not_of('`', at), json.size()) - at;
}

// Where the run of `length` backticks that ends the code begins; npos if the string has none.
std::size_t partner_of(std::string_view json, std::size_t from, std::size_t length) {
  for (std::size_t at = from; at < json.size() && json[at] != '"';) {
    if (json[at] != '`') {
      at += json[at] == '\\' ? 2 : 1;
      continue;
    }
    const std::size_t run = run_at(json, at);
    if (run == length) return at;
    at += run;
  }
  return std::string_view::npos;
}

}  // namespace

std::string without_code(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  bool in_string = false;
  std::array<bool, kLongestRun + 1> alone{};  // runs of this length have no partner in the rest of the string
  for (std::size_t at = 0; at < json.size();) {
    std::size_t size = 1;
    if (json[at] == '"') {
      in_string = !in_string;
      alone = {};
    } else if (in_string && json[at] == '\\') {
      size = std::min<std::size_t>(2, json.size() - at);
    } else if (in_string && json[at] == '`') {
      size = run_at(json, at);
      if (size <= kLongestRun && !alone[size]) {
        if (const std::size_t partner = partner_of(json, at + size, size);
            partner != std::string_view::npos) {
          out.append(2 * size, '`');
          at = partner + size;
          continue;
        }
        alone[size] = true;
      }
    }
    out.append(json, at, size);
    at += size;
  }
  return out;
}

ContentFlags scan_outside_code(std::string_view json) {
  const ContentFlags flags = scan_content(json);
  return flags.empty() || json.find('`') == std::string_view::npos ? flags : scan_content(without_code(json));
}

}  // namespace tidewire::guard
