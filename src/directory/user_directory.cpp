#include "directory/user_directory.h"

#include <algorithm>

#include "net/thread_start.h"

namespace tidewire::directory {

UserDirectory::UserDirectory(UserDirectoryOptions options, guard::KnownUsers& known,
                             guard::CircuitBoard& board, MakeSource make_source, Tell tell, Complain complain)
    : options_(options),
      known_(known),
      circuit_(board, "directory", options.circuit),
      tell_(std::move(tell)),
      complain_(std::move(complain)),
      source_(make_source(loop_)) {
  thread_ = net::start_thread("directory", [this] { loop_.run(); });
}

UserDirectory::~UserDirectory() {
  loop_.stop();
  thread_.join();
  source_.reset();
}

void UserDirectory::ask(std::uint32_t asker, guard::LimitKey key, Question question) {
  loop_.post([this, asker, key, question = std::move(question)]() mutable {
    take(asker, key, std::move(question));
  });
}

void UserDirectory::take(std::uint32_t asker, guard::LimitKey key, Question&& question) {
  const auto [at, is_new] = flights_.try_emplace(key);
  Flight& flight = at->second;
  if (std::ranges::find(flight.askers, asker) == flight.askers.end()) flight.askers.push_back(asker);
  if (!is_new) return;
  flight.question = std::move(question);
  if (flights_.size() > options_.waiting) return give_up(key);
  waiting_.store(flights_.size(), std::memory_order_relaxed);
  queue_.push_back(key);
  send_more();
}

void UserDirectory::send_more() {
  while (under_way_ < options_.under_way && !queue_.empty()) {
    const guard::LimitKey key = queue_.front();
    queue_.pop_front();
    const auto permit = circuit_.ask(loop_.now());
    known_.set_away_until(circuit_.open_until_ms());
    if (!permit.ticket) {
      give_up(key);
      continue;
    }
    ++under_way_;
    source_->ask(flights_.at(key).question,
                 [this, key, ticket = *permit.ticket, sent_us = loop_.now().mono_us](const Outcome& outcome) {
                   answered(key, ticket, sent_us, outcome);
                 });
  }
}

void UserDirectory::answered(guard::LimitKey key, guard::CircuitBreaker::Ticket ticket, std::int64_t sent_us,
                             const Outcome& outcome) {
  --under_way_;
  const Time now = loop_.now();
  if (outcome.what == Outcome::What::failed) {
    failed_.fetch_add(1, std::memory_order_relaxed);
    if (now.mono_us - complained_us_ >= 1'000'000) {
      complained_us_ = now.mono_us;
      complain_(outcome.reason);
    }
    if (outcome.of_this_user)
      circuit_.answered_in_error(ticket, now);
    else
      circuit_.failed(ticket, now);
    known_.set_away_until(circuit_.open_until_ms());
    finish(key, known_.without_directory(key, now.mono_ms()));
  } else {
    const bool exists = outcome.what == Outcome::What::exists;
    (exists ? exists_ : absent_).fetch_add(1, std::memory_order_relaxed);
    latency_us_.store(now.mono_us - sent_us, std::memory_order_relaxed);
    circuit_.succeeded(ticket, now);
    known_.set_away_until(circuit_.open_until_ms());
    const guard::UserState state = exists ? guard::UserState::exists : guard::UserState::absent;
    known_.put(key, state, now.mono_ms());
    finish(key, state);
  }
  send_more();
}

void UserDirectory::give_up(guard::LimitKey key) {
  refused_.fetch_add(1, std::memory_order_relaxed);
  finish(key, known_.without_directory(key, loop_.now().mono_ms()));
}

void UserDirectory::finish(guard::LimitKey key, guard::UserState state) {
  auto flight = flights_.extract(key);
  waiting_.store(flights_.size(), std::memory_order_relaxed);
  tell_({.question = std::move(flight.mapped().question),
         .key = key,
         .state = state,
         .askers = std::move(flight.mapped().askers)});
}

UserDirectory::Counts UserDirectory::counts() const {
  return {.exists = exists_.load(std::memory_order_relaxed),
          .absent = absent_.load(std::memory_order_relaxed),
          .failed = failed_.load(std::memory_order_relaxed),
          .refused = refused_.load(std::memory_order_relaxed),
          .waiting = waiting_.load(std::memory_order_relaxed),
          .latency_us = latency_us_.load(std::memory_order_relaxed)};
}

}  // namespace tidewire::directory
