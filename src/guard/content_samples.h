// The samples of tests/content and how the scanner does on them; for the test and the measurement.
#pragma once

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "guard/content_scan.h"

namespace tidewire::guard {

struct SampleScore {
  std::size_t samples = 0;
  std::size_t found = 0;           // any rule
  std::size_t named = 0;           // the rule that is the label
  std::vector<std::string> wrong;  // attacks not found, innocent text found
};

// By label; empty when the file can't be read.
inline std::map<std::string, SampleScore> score_samples(
    const std::string& path, bool attacks, ContentFlags (*scan)(std::string_view) = scan_content) {
  std::map<std::string, SampleScore> scores;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t tab = line.find('\t');
    if (tab == std::string::npos) continue;
    const std::string label = line.substr(0, tab), json = line.substr(tab + 1);
    SampleScore& score = scores[label];
    const ContentFlags flags = scan(json);
    ++score.samples;
    if (!flags.empty()) ++score.found;
    for (ContentFlags left = flags; !left.empty(); left = left.without(left.first()))
      if (name_of(left.first()) == label) ++score.named;
    if (flags.empty() == attacks) score.wrong.push_back(json);
  }
  return scores;
}

}  // namespace tidewire::guard
