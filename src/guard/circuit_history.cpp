#include "guard/circuit_history.h"

namespace tidewire::guard {

void CircuitHistory::record(std::string_view circuit, CircuitTransition transition, Time now) {
  Event event{std::string(circuit.substr(0, kNameBytes)), transition, now.unix_ms};
  if (ring_.size() < capacity_) {
    ring_.push_back(std::move(event));
  } else {
    ring_[total_ % capacity_] = std::move(event);
  }
  ++total_;
}

std::vector<CircuitHistory::Event> CircuitHistory::since(std::int64_t since_unix_ms) const {
  std::vector<Event> events;
  for (std::uint64_t n = total_ - ring_.size(); n < total_; ++n) {
    const Event& event = ring_[n % capacity_];
    if (event.unix_ms >= since_unix_ms) events.push_back(event);
  }
  return events;
}

}  // namespace tidewire::guard
