#include "guard/circuit_breaker.h"

#include <algorithm>

namespace tidewire::guard {

std::string_view name_of(CircuitState state) {
  switch (state) {
    case CircuitState::closed:
      return "closed";
    case CircuitState::open:
      return "open";
    case CircuitState::half_open:
      return "half_open";
  }
  return "";
}

CircuitBreaker::Permit CircuitBreaker::ask(const CircuitOptions& options, std::int64_t now_ms) {
  Permit permit;
  if (state_ == CircuitState::closed) {
    permit.ticket = Ticket{generation_};
    return permit;
  }
  if (state_ == CircuitState::half_open && under_way_ > 0 && now_ms >= until_ms_) {
    permit.transition = open(options, now_ms);
  }
  if (state_ == CircuitState::open) {
    if (now_ms < until_ms_) {
      permit.retry_after_ms = until_ms_ - now_ms;
      return permit;
    }
    permit.transition = become(CircuitState::half_open);
  }
  if (successes_ + under_way_ >= std::max<int>(options.probes, 1)) {
    permit.retry_after_ms = std::max<std::int64_t>(1, until_ms_ - now_ms);
    return permit;
  }
  ++under_way_;
  until_ms_ = now_ms + std::max<std::int64_t>(options.probe_timeout_ms, 1);
  permit.ticket = Ticket{generation_};
  return permit;
}

std::optional<CircuitTransition> CircuitBreaker::succeeded(const CircuitOptions& options, Ticket ticket) {
  if (ticket.generation != generation_) return std::nullopt;
  if (state_ == CircuitState::closed) {
    failures_ = 0;
    return std::nullopt;
  }
  if (state_ != CircuitState::half_open || under_way_ == 0) return std::nullopt;
  --under_way_;
  ++successes_;
  if (successes_ < std::max<int>(options.probes, 1)) return std::nullopt;
  return become(CircuitState::closed);
}

std::optional<CircuitTransition> CircuitBreaker::failed(const CircuitOptions& options, Ticket ticket,
                                                        std::int64_t now_ms) {
  if (ticket.generation != generation_ || state_ == CircuitState::open) return std::nullopt;
  if (state_ == CircuitState::closed && ++failures_ < options.failures) return std::nullopt;
  return open(options, now_ms);
}

CircuitTransition CircuitBreaker::open(const CircuitOptions& options, std::int64_t now_ms) {
  until_ms_ = now_ms + std::max<std::int64_t>(options.open_ms, 1);
  return become(CircuitState::open);
}

CircuitTransition CircuitBreaker::become(CircuitState next) {
  const CircuitTransition transition{.from = state_, .to = next};
  state_ = next;
  ++generation_;
  failures_ = under_way_ = successes_ = 0;
  return transition;
}

}  // namespace tidewire::guard
