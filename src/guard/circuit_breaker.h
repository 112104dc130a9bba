// A circuit breaker: after some failures in a row what it guards is left alone for a while, then
// tried with a few probes, and used again once they succeed.
//
//   closed --failures--> open --open_ms over--> half open --all probes succeed--> closed
//                          ^---------- a probe fails or never answers ----------'
//
// Invariant: it is never stuck. Whatever callers report or forget to report, within open_ms and a
// probe's time it lets somebody try. Pure; owned by the thread of what it guards.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tidewire::guard {

enum class CircuitState : std::uint8_t { closed, open, half_open };

std::string_view name_of(CircuitState state);

struct CircuitOptions {
  std::uint16_t failures = 5;              // in a row open it; at least 1
  std::uint16_t probes = 1;                // that many must succeed to close it; at least 1
  std::int64_t open_ms = 30'000;           // what it guards is left alone for so long
  std::int64_t probe_timeout_ms = 30'000;  // a probe that says nothing for so long has failed
};

struct CircuitTransition {
  CircuitState from = CircuitState::closed;
  CircuitState to = CircuitState::closed;

  friend bool operator==(const CircuitTransition&, const CircuitTransition&) = default;
};

class CircuitBreaker {
 public:
  // Names one permitted call, so that its outcome cannot be taken for that of another time.
  struct Ticket {
    std::uint32_t generation = 0;
  };
  struct Permit {
    std::optional<Ticket> ticket;     // empty: do not try
    std::int64_t retry_after_ms = 0;  // at least 1 where not to try
    std::optional<CircuitTransition> transition;
  };

  // Asks to try. Whoever gets a ticket reports its outcome.
  Permit ask(const CircuitOptions& options, std::int64_t now_ms);

  // The outcome of a call. One that was permitted before the last transition is no news any more and
  // changes nothing.
  std::optional<CircuitTransition> succeeded(const CircuitOptions& options, Ticket ticket);
  std::optional<CircuitTransition> failed(const CircuitOptions& options, Ticket ticket, std::int64_t now_ms);

  CircuitState state() const { return state_; }
  // While it is open: when a probe may go. 0 otherwise.
  std::int64_t open_until_ms() const { return state_ == CircuitState::open ? until_ms_ : 0; }

 private:
  CircuitTransition become(CircuitState next);
  CircuitTransition open(const CircuitOptions& options, std::int64_t now_ms);

  // Open: when a probe may go. Half open: when the newest probe has been silent for too long.
  std::int64_t until_ms_ = 0;
  std::uint32_t generation_ = 0;
  std::uint16_t failures_ = 0;   // closed: in a row
  std::uint16_t under_way_ = 0;  // half open: probes without an outcome
  std::uint16_t successes_ = 0;  // half open
  CircuitState state_ = CircuitState::closed;
};

}  // namespace tidewire::guard
