// The whole server in one process: shards on their threads, start, reload and drain (protocol §9).
#pragma once

#include <functional>

#include "config/load.h"

namespace tidewire::server {

struct ServeRequest {
  config::LoadInput input;  // read again on SIGHUP
  bool echo = false;
};

// Runs until a signal ends it. The exit code: 0 after a drain, 1 when it could not start (a port in
// use, a locked store), 2 for a configuration error; what was wrong is on standard error.
int serve(const ServeRequest& request);

}  // namespace tidewire::server
