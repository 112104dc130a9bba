// How many HTTP requests the API has answered, by route and class of status, and how that looks in
// /metrics. Labels are the table's patterns, so a client adds none. Owned by the shard's thread.
#pragma once

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

  // Without a route: a path that there is not, or a method that the path does not take.
  void note(const Route* route, int status);

  const std::vector<hub::CallsByStatus>& by_route() const { return by_route_; }

 private:
  std::vector<hub::CallsByStatus> by_route_;  // the last one is of no route
};

// `by_route` is of all shards together.
void add_call_counts(telemetry::Snapshot& out, const std::vector<hub::CallsByStatus>& by_route);

}  // namespace tidewire::api
