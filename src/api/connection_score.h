// How well a connection is, from its measured round trip (requirement P6). Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidewire::api {

struct ConnectionScore {
  double latency = 1;  // each part from 0 to 1; 1 where nothing is measured
  double errors = 1;
  double activity = 1;

  double total() const { return 0.5 * latency + 0.3 * errors + 0.2 * activity; }
  std::string_view status() const;
};

// `round_trip_us` -1: not measured. The latency's part falls from 1 to 0 at twice `max_latency_ms`, so
// that a connection at the limit is DEGRADED.
ConnectionScore score_of(std::int64_t round_trip_us, std::int64_t max_latency_ms);

}  // namespace tidewire::api
