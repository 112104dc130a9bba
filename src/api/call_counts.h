// How many HTTP requests were answered, by route and class of status, and how that looks in /metrics. Labels
// are the table's patterns, so a client adds none. Owned by the shard's thread.
#pragma once

#include <string_view>
#include <vector>

#include "hub/analytics.h"

namespace tidewire::telemetry {
class Snapshot;
}

namespace tidewire::api {

struct Route;

class CallCounts {
 public:
  CallCounts();

  // Without a route: what is the gateway's (/sse, /ws), a path that there is not, a method that the path does
  // not take, or what could not be read.
  void note(const Route* route, std::string_view path, int status);

  const std::vector<hub::CallsByStatus>& by_route() const { return by_route_; }

 private:
  std::vector<hub::CallsByStatus> by_route_;  // the last ones are of no route
};

// `by_route` is of all shards together.
void add_call_counts(telemetry::Snapshot& out, const std::vector<hub::CallsByStatus>& by_route);

}  // namespace tidewire::api
