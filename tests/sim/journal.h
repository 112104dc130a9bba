// What happened in a run, and the end of a run that broke a rule.
//
// Nothing is written down until somebody wants it: a run repeats from its seed, so the events of a
// failed one are had by running it again.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>
#include <utility>

namespace tidewire::sim {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Args>
void require(bool holds, fmt::format_string<Args...> what, Args&&... args) {
  if (!holds) [[unlikely]]
    throw Failure(fmt::format(what, std::forward<Args>(args)...));
}

class Journal {
 public:
  // Events that are kept; 0: none.
  explicit Journal(std::size_t keep) : keep_(keep) {}

  template <class... Args>
  void note(std::int64_t now_us, fmt::format_string<Args...> what, Args&&... args) {
    if (keep_ == 0) return;
    std::string line = fmt::format("{:>10.3f} ms  ", static_cast<double>(now_us) / 1000);
    line += fmt::format(what, std::forward<Args>(args)...);
    lines_.push_back(std::move(line));
    if (lines_.size() > keep_) lines_.pop_front();
  }
  const std::deque<std::string>& lines() const { return lines_; }

 private:
  std::size_t keep_;
  std::deque<std::string> lines_;
};

}  // namespace tidewire::sim
