// The answer to an HTTP request as a value, before it is written.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tidewire::wire {

struct HttpAnswer {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> fields;  // further header fields
};

}  // namespace tidewire::wire
