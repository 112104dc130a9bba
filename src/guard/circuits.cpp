#include "guard/circuits.h"

#include <algorithm>
#include <utility>

namespace tidewire::guard {

void CircuitBoard::add(std::string_view name) {
  const std::lock_guard lock(mutex_);
  if (std::ranges::find(rows_, name, &Row::name) == rows_.end()) rows_.push_back({.name = std::string(name)});
}

void CircuitBoard::record(std::string_view name, CircuitTransition transition, Time now) {
  {
    const std::lock_guard lock(mutex_);
    const auto row = std::ranges::find(rows_, name, &Row::name);
    if (row != rows_.end()) {
      row->state = transition.to;
      row->since_unix_ms = now.unix_ms;
      if (transition.to == CircuitState::open) ++row->opened;
    }
    history_.record(name, transition, now);
  }
  if (changed_) changed_(name, transition);
}

void CircuitBoard::set_failing(std::string_view name, bool failing) {
  const std::lock_guard lock(mutex_);
  const auto row = std::ranges::find(rows_, name, &Row::name);
  if (row != rows_.end()) row->failing = failing;
}

std::vector<CircuitBoard::Row> CircuitBoard::rows() const {
  const std::lock_guard lock(mutex_);
  return rows_;
}

std::vector<CircuitHistory::Event> CircuitBoard::history(std::int64_t since_unix_ms) const {
  const std::lock_guard lock(mutex_);
  return history_.since(since_unix_ms);
}

Circuit::Circuit(CircuitBoard& board, std::string name, CircuitOptions options)
    : board_(board), name_(std::move(name)), options_(options) {
  board_.add(name_);
}

CircuitBreaker::Permit Circuit::ask(Time now) {
  CircuitBreaker::Permit permit = breaker_.ask(options_, now.mono_ms());
  record(permit.transition, now);
  return permit;
}

void Circuit::succeeded(CircuitBreaker::Ticket ticket, Time now) {
  record(breaker_.succeeded(options_, ticket), now);
  note_outcome(false);
}

void Circuit::failed(CircuitBreaker::Ticket ticket, Time now) {
  record(breaker_.failed(options_, ticket, now.mono_ms()), now);
  note_outcome(true);
}

void Circuit::answered_in_error(CircuitBreaker::Ticket ticket, Time now) {
  record(breaker_.succeeded(options_, ticket), now);
  note_outcome(true);
}

void Circuit::record(const std::optional<CircuitTransition>& transition, Time now) {
  if (transition) board_.record(name_, *transition, now);
}

void Circuit::note_outcome(bool failing) {
  if (std::exchange(failing_, failing) != failing) board_.set_failing(name_, failing);
}

}  // namespace tidewire::guard
