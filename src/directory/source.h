// A place that knows which users exist: an application's back end or its database.
//
// Asked without waiting, on the directory's loop; every question is answered exactly once there, within
// the source's time limit. Never called back from within ask().
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tidewire::directory {

struct Question {
  std::string tenant;
  std::string user;  // in its string form (protocol §1)
};

struct Outcome {
  enum class What : std::uint8_t { exists, absent, failed };
  What what = What::failed;
  std::string reason = {};    // of a failure, for the log; holds no secret
  bool of_this_user = false;  // of a failure: the source is there, and others may be answered
};

class Source {
 public:
  using Answer = std::function<void(Outcome)>;
  virtual ~Source() = default;
  virtual void ask(const Question& question, Answer answer) = 0;
};

}  // namespace tidewire::directory
