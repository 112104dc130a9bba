// What a check has found, for people and as JSON, and whether the server is ready.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidewire::check {

enum class Outcome : std::uint8_t {
  passed,
  warned,  // works, but not as it should in production
  failed,
  skipped  // could not be tried; `detail` says why
};

struct Finding {
  std::string id;     // "resume.position"
  std::string title;  // a sentence that is true when it has passed
  Outcome outcome = Outcome::passed;
  std::string detail;
  double took_ms = 0;
};

class Report {
 public:
  void add(Finding finding) { findings_.push_back(std::move(finding)); }

  std::size_t count(Outcome outcome) const;
  // Of what could be tried, 0 to 100: a passed one counts whole, a warning half.
  int score() const;
  // Nothing failed, and the messages of a user could be tried.
  bool ready() const;

  std::string text(std::string_view url, bool coloured) const;
  std::string json(std::string_view url, std::string_view version, std::int64_t unix_ms) const;

 private:
  std::vector<Finding> findings_;
};

}  // namespace tidewire::check
