// The tools that an agent has called, with their results: `tools` in the snapshot of a run (protocol §7).
//
// An entry is a tool_call's data (under the key `data` when it is no object) and, once its tool_result
// came, `result`: the `result` member of that event's data, or else all of the data. A tool_result belongs to
// the last call without one that has the same `id`, or to the last one of all when it names no id.
//
// Bounded: from the first call on that would pass a bound none is kept, nor are results that name no id,
// since they may belong to one of those. A result that would pass it is left out. Owned by the run.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/fields.h"

namespace tidewire::kinds {

class ToolCalls {
 public:
  struct Bounds {
    std::size_t calls_max = 1000;
    std::size_t bytes_max = std::size_t{4} << 20;  // of all entries
  };
  explicit ToolCalls(Bounds bounds) : bounds_(bounds) {}

  // The data of a tool_call and of a tool_result, valid JSON.
  void call(std::string_view data);
  void result(std::string_view data);

  // A JSON array.
  std::string json() const;

  // Members of a saved state, a comma behind each, and back; false, and nothing has changed: unreadable.
  void save(std::string& out) const;
  bool restore(protocol::Fields& saved);

 private:
  struct Call {
    std::string json;  // an object
    std::string id;    // in a form in which "1" and 1 differ; empty: none
    bool open = true;  // its result is still to come
  };

  Bounds bounds_;
  std::vector<Call> calls_;
  std::size_t bytes_ = 0;
  bool full_ = false;  // a call was left out
};

}  // namespace tidewire::kinds
