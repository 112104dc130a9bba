// Measures the content policy on the samples of tests/content: content_rates SAMPLES_FOLDER [RESULT.md]
// The result goes to the file and to standard output; the samples that it got wrong are in it.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "guard/code_spans.h"
#include "guard/content_samples.h"

namespace {

using Scores = std::map<std::string, tidewire::guard::SampleScore>;

std::string percent(std::size_t part, std::size_t whole) {
  return fmt::format("{:.1f} %",
                     whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string table(const Scores& scores, bool attacks) {
  std::string out = attacks ? "| rule | samples | caught | by this rule | missed |\n|---|---|---|---|---|\n"
                            : "| sort of text | samples | false alarms | rate |\n|---|---|---|---|\n";
  std::size_t samples = 0, found = 0, named = 0;
  const auto row = [&](const std::string& label, std::size_t all, std::size_t any, std::size_t exact) {
    if (attacks)
      out += fmt::format("| {} | {} | {} | {} | {} |\n", label, all, any, exact, percent(all - any, all));
    else
      out += fmt::format("| {} | {} | {} | {} |\n", label, all, any, percent(any, all));
  };
  for (const auto& [label, score] : scores) {
    row(label, score.samples, score.found, score.named);
    samples += score.samples, found += score.found, named += score.named;
  }
  row("**all**", samples, found, named);
  out += attacks ? "\nMissed:\n\n" : "\nFalse alarms:\n\n";
  for (const auto& [label, score] : scores)
    for (const std::string& json : score.wrong) out += fmt::format("    {}: {}\n", label, json);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "tests/content";
  const Scores attacks = tidewire::guard::score_samples(folder + "/attacks.tsv", true);
  const Scores innocent = tidewire::guard::score_samples(folder + "/innocent.tsv", false);
  const Scores flagged =
      tidewire::guard::score_samples(folder + "/innocent.tsv", false, tidewire::guard::scan_outside_code);
  if (attacks.empty() || innocent.empty()) {
    fmt::print(stderr, "no samples in {}\n", folder);
    return 2;
  }
  const std::string text =
      "# Content policy: what it misses and what it wrongly finds\n\n"
      "Made by `build/release/content_rates tests/content FILE`; the samples stand in "
      "`tests/content`.\n\n## Attacks\n\n" +
      table(attacks, true) + "\n## Innocent text under `flag`, which leaves Markdown code alone\n\n" +
      table(flagged, false) + "\n## Innocent text under `reject`\n\n" + table(innocent, false);
  fmt::print("{}", text);
  if (argc > 2 && !(std::ofstream(argv[2]) << text)) {
    fmt::print(stderr, "can't write {}\n", argv[2]);
    return 1;
  }
  return 0;
}
