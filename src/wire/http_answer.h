// The answer to an HTTP request as a value, before it is written.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace tidewire::wire {

struct HttpAnswer {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> fields;  // further header fields
  std::optional<ErrorCode> refusal = {};                    // the protocol's code of what it says went wrong
};

}  // namespace tidewire::wire
