// Measures the anomaly detection on labelled traffic: anomaly_table [RESULT.md [SEED]]
// The result goes to the file and to standard output.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "guard/anomaly_traffic.h"

namespace {

using tidewire::guard::AnomalyMethod;
using tidewire::guard::traffic::Outcome;
using tidewire::guard::traffic::Score;

std::string named_kinds(const Score& score) {
  std::string out;
  for (std::size_t i = 0; i < score.kinds.size(); ++i)
    if (score.kinds[i] > 0)
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ",
                         name_of(static_cast<tidewire::guard::AnomalyKind>(i)), score.kinds[i]);
  return out.empty() ? "-" : out;
}

// Of the users that this sort of abuse and all normal users together brought to report, the abusers.
double precision_of(const Outcome& outcome, const Score& score) {
  const double wrong = outcome.sum(false, &Score::alarmed);
  return score.alarmed == 0 ? 0 : score.alarmed / (score.alarmed + wrong);
}

std::string table(const Outcome& outcome) {
  std::string out = fmt::format("Precision {:.3f}, recall {:.3f}, {} messages.\n\n", outcome.precision(),
                                outcome.recall(), outcome.acts);
  out +=
      "| abuse | users | reported | recall | precision | median delay | reports by kind |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const Score& score : outcome.sorts)
    if (score.abuse)
      out += fmt::format("| {} | {} | {} | {:.2f} | {:.2f} | {:.0f} s | {} |\n", score.sort, score.users,
                         score.alarmed, static_cast<double>(score.alarmed) / score.users,
                         precision_of(outcome, score), score.median_delay_s(), named_kinds(score));
  out +=
      "\n| normal users | users | wrongly reported | reports an hour and user | reports by kind |\n"
      "|---|---|---|---|---|\n";
  for (const Score& score : outcome.sorts)
    if (!score.abuse)
      out += fmt::format("| {} | {} | {} | {:.2f} | {} |\n", score.sort, score.users, score.alarmed,
                         2.0 * score.alarms / score.users, named_kinds(score));
  return out;
}

// The same with other dice: the thresholds were chosen looking at seed 1.
std::string other_seeds(AnomalyMethod method, std::uint64_t seed) {
  std::string out = "| seed | precision | recall |\n|---|---|---|\n";
  for (std::uint64_t other = seed + 1; other <= seed + 4; ++other) {
    const Outcome outcome = tidewire::guard::traffic::run(method, other);
    out += fmt::format("| {} | {:.3f} | {:.3f} |\n", other, outcome.precision(), outcome.recall());
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t seed = argc > 2 ? std::stoull(argv[2]) : 1;
  const std::string text = fmt::format(
      "# Anomaly detection on labelled traffic\n\n"
      "Made by `build/release/anomaly_table FILE {}`; the sorts of users stand in "
      "`src/guard/anomaly_traffic.h`. Half an hour; abuse begins after 15 to 22 minutes; half of the "
      "abusers have chatted before, the others are new. A user counts once. The precision of a sort of "
      "abuse counts all normal users that were reported against it alone.\n\n"
      "The traffic is made up, and by whoever made the detector: real users will be stranger. "
      "The default takes no action but a report. A bot that was never anything else can't be told from a "
      "sensor or a game client by its beat, and is not: half of the bots here have chatted before.\n\n"
      "## The default (`robust`)\n\n{}\n{}\n## Mean and two sigma (`two_sigma`)\n\n{}\n{}",
      seed, table(tidewire::guard::traffic::run(AnomalyMethod::robust, seed)),
      other_seeds(AnomalyMethod::robust, seed),
      table(tidewire::guard::traffic::run(AnomalyMethod::two_sigma, seed)),
      other_seeds(AnomalyMethod::two_sigma, seed));
  fmt::print("{}", text);
  if (argc > 1 && !(std::ofstream(argv[1]) << text)) {
    fmt::print(stderr, "can't write {}\n", argv[1]);
    return 1;
  }
  return 0;
}
