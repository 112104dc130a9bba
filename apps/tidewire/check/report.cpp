#include "check/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_text.h"
#include "protocol/message_writer.h"

namespace tidewire::check {

namespace {

using protocol::MessageWriter;

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::passed:
      return "passed";
    case Outcome::warned:
      return "warned";
    case Outcome::failed:
      return "failed";
    case Outcome::skipped:
      break;
  }
  return "skipped";
}

std::string_view mark_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::passed:
      return "ok  ";
    case Outcome::warned:
      return "warn";
    case Outcome::failed:
      return "FAIL";
    case Outcome::skipped:
      break;
  }
  return "-   ";
}

std::string_view colour_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::passed:
      return "\033[32m";
    case Outcome::warned:
      return "\033[33m";
    case Outcome::failed:
      return "\033[31m";
    case Outcome::skipped:
      break;
  }
  return "\033[2m";
}

// Without it, whatever else has passed says little.
constexpr std::string_view kIndispensable = "messages.delivered";

}  // namespace

std::size_t Report::count(Outcome outcome) const {
  return static_cast<std::size_t>(std::ranges::count(findings_, outcome, &Finding::outcome));
}

int Report::score() const {
  const std::size_t tried = findings_.size() - count(Outcome::skipped);
  if (tried == 0) return 0;
  return static_cast<int>((100 * count(Outcome::passed) + 50 * count(Outcome::warned)) / tried);
}

bool Report::ready() const {
  const auto found = std::ranges::find(findings_, kIndispensable, &Finding::id);
  return count(Outcome::failed) == 0 && found != findings_.end() && found->outcome == Outcome::passed;
}

std::string Report::text(std::string_view url, bool coloured) const {
  std::string out = fmt::format("{}\n", url);
  std::string_view group;
  for (const Finding& finding : findings_) {
    const std::string_view its = std::string_view(finding.id).substr(0, finding.id.find('.'));
    if (its != group) out += fmt::format("\n{}\n", its);
    group = its;
    const std::string mark =
        coloured ? fmt::format("{}{}\033[0m", colour_of(finding.outcome), mark_of(finding.outcome))
                 : std::string(mark_of(finding.outcome));
    out += fmt::format("  {}  {}", mark, finding.title);
    if (!finding.detail.empty()) out += fmt::format(" ({})", finding.detail);
    out += '\n';
  }
  out += fmt::format("\n{}: score {} of 100; {} passed, {} warnings, {} failed, {} not tried\n",
                     ready() ? "READY" : "NOT READY", score(), count(Outcome::passed), count(Outcome::warned),
                     count(Outcome::failed), count(Outcome::skipped));
  if (!ready() && count(Outcome::failed) == 0)
    out += "Nothing failed, but no message was delivered. To have that tried give --token or --secret.\n";
  return out;
}

std::string Report::json(std::string_view url, std::string_view version, std::int64_t unix_ms) const {
  std::string list = "[";
  for (const Finding& finding : findings_) {
    if (list.size() > 1) list += ',';
    MessageWriter row;
    row.text("id", finding.id).text("title", finding.title).text("outcome", name_of(finding.outcome));
    if (!finding.detail.empty()) row.text("detail", finding.detail);
    list += row.json("took_ms", fmt::format("{:.1f}", finding.took_ms)).finish();
  }
  list += ']';
  MessageWriter counts;
  for (const Outcome outcome : {Outcome::passed, Outcome::warned, Outcome::failed, Outcome::skipped})
    counts.number(name_of(outcome), static_cast<std::uint64_t>(count(outcome)));
  return MessageWriter()
      .text("url", url)
      .text("tool", fmt::format("tidewire {}", version))
      .number("timestamp", unix_ms)
      .boolean("ready", ready())
      .number("score", std::int64_t{score()})
      .json("counts", counts.finish())
      .json("checks", list)
      .finish();
}

}  // namespace tidewire::check
