// The circuit breakers around outside dependencies: one per dependency, and the board that shows them all.
//
// A Circuit belongs to the thread of what it guards; the board takes what they report from any thread,
// under a lock that is taken when a circuit or the outcome of its calls changes or somebody looks, never per
// call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "guard/circuit_breaker.h"
#include "guard/circuit_history.h"

namespace tidewire::guard {

class CircuitBoard {
 public:
  // Told of each change, on the thread where it happens.
  using Changed = std::function<void(std::string_view circuit, CircuitTransition transition)>;

  struct Row {
    std::string name;
    CircuitState state = CircuitState::closed;
    std::int64_t since_unix_ms = 0;  // 0: never changed
    std::uint64_t opened = 0;        // times
    bool failing = false;            // the last call failed
  };

  explicit CircuitBoard(Changed changed) : changed_(std::move(changed)) {}

  // Names are few and come from the configuration: they become labels. Adding one again changes nothing.
  void add(std::string_view name);
  void record(std::string_view name, CircuitTransition transition, Time now);
  void set_failing(std::string_view name, bool failing);

  std::vector<Row> rows() const;  // in the order of add()
  // Changes since a moment, oldest first, as CircuitHistory::since().
  std::vector<CircuitHistory::Event> history(std::int64_t since_unix_ms) const;

 private:
  Changed changed_;
  mutable std::mutex mutex_;
  std::vector<Row> rows_;
  CircuitHistory history_;
};

class Circuit {
 public:
  // The board must outlive it.
  Circuit(CircuitBoard& board, std::string name, CircuitOptions options);

  // As CircuitBreaker::ask(), succeeded() and failed().
  CircuitBreaker::Permit ask(Time now);
  void succeeded(CircuitBreaker::Ticket ticket, Time now);
  void failed(CircuitBreaker::Ticket ticket, Time now);
  // It is there but could not do this one thing: it shows as failing, and no step is made to opening.
  void answered_in_error(CircuitBreaker::Ticket ticket, Time now);

  const std::string& name() const { return name_; }
  CircuitState state() const { return breaker_.state(); }
  std::int64_t open_until_ms() const { return breaker_.open_until_ms(); }

 private:
  void record(const std::optional<CircuitTransition>& transition, Time now);
  void note_outcome(bool failing);

  CircuitBoard& board_;
  std::string name_;
  CircuitOptions options_;
  CircuitBreaker breaker_;
  bool failing_ = false;
};

}  // namespace tidewire::guard
