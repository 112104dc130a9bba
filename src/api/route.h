// One row of the table of routes: what a request must look like and bring to get to a function.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "api/router.h"

namespace tidewire::api {

// Who may come in (protocol §8).
enum class Door : std::uint8_t {
  open,
  metrics,  // open, unless `metrics.public` is false
  key,      // an API key with the scope
  user      // that, or a user's own token
};

struct Route {
  std::string_view method;   // GET stands for HEAD too
  std::string_view pattern;  // `{}` is one segment, percent-encoded, not empty
  Door door;
  Scope scope;
  void (Router::*serve)(Router::Call&);

  static std::span<const Route> all();
};

}  // namespace tidewire::api
