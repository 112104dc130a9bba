// The newest transitions of circuit breakers, for the dashboard. A ring: memory is bounded however
// much a circuit flaps. Owned by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "guard/circuit_breaker.h"

namespace tidewire::guard {

class CircuitHistory {
 public:
  struct Event {
    std::string circuit;  // cut to kNameBytes
    CircuitTransition transition;
    std::int64_t unix_ms = 0;

    friend bool operator==(const Event&, const Event&) = default;
  };
  static constexpr std::size_t kNameBytes = 128;

  // Keeps the newest `capacity` events, at least one.
  explicit CircuitHistory(std::size_t capacity = 256) : capacity_(capacity > 0 ? capacity : 1) {}

  void record(std::string_view circuit, CircuitTransition transition, Time now);

  // What is kept and not older than `since_unix_ms`, oldest first.
  std::vector<Event> since(std::int64_t since_unix_ms) const;
  // How many there ever were.
  std::uint64_t total() const { return total_; }

 private:
  std::size_t capacity_;
  std::vector<Event> ring_;
  std::uint64_t total_ = 0;  // the next event's number
};

}  // namespace tidewire::guard
