#include "hub/recent.h"

namespace tidewire::hub {

namespace {

// What came since `then`; what is a state and no count stays as it is now.
ShardCounts since(const ShardCounts& then, ShardCounts now) {
  now.connections_opened -= then.connections_opened;
  now.messages_in -= then.messages_in;
  now.messages_out -= then.messages_out;
  now.bytes_in -= then.bytes_in;
  now.bytes_out -= then.bytes_out;
  now.malformed -= then.malformed;
  now.rate_limited -= then.rate_limited;
  now.penalties -= then.penalties;
  now.auth_failures -= then.auth_failures;
  now.went_behind -= then.went_behind;
  now.gaps -= then.gaps;
  now.ended_unhealthy -= then.ended_unhealthy;
  for (std::size_t i = 0; i < now.requests.size(); ++i) now.requests[i] -= then.requests[i];
  return now;
}

}  // namespace

void Analytics::merge(const Analytics& other) {
  window_us = std::max(window_us, other.window_us);
  requests.merge(other.requests);
  round_trips.merge(other.round_trips);
  talkers.merge(other.talkers);
}

void Recent::note_request(std::int64_t took_us, std::uint64_t times) {
  now_.requests.record(took_us, times);
  requests_.record(took_us, times);
}

void Recent::note_round_trip(std::int64_t took_us) {
  now_.round_trips.record(took_us);
  round_trips_.record(took_us);
}

void Recent::tick(const ShardCounts& counts, const Time& now) {
  if (now_.began_us < 0) now_.began_us = now.mono_us;  // what came before the first tick counts as well
  if (now.mono_us - now_.began_us < kSlot_us) return;
  before_.push_back(std::move(now_));
  if (before_.size() > kMinutes) before_.pop_front();
  now_ = Slot();
  now_.began_us = now.mono_us;
  now_.at_start = counts;
}

Analytics Recent::over(std::int64_t window_us, const ShardCounts& counts, const Time& now) const {
  Analytics out;
  if (window_us <= 0) {
    out.requests = requests_;
    out.round_trips = round_trips_;
    return out;
  }
  const auto add = [&](const Slot& slot) {
    out.requests.merge(slot.requests);
    out.round_trips.merge(slot.round_trips);
    out.talkers.merge(slot.talkers);
    out.window_us = now.mono_us - slot.began_us;
    out.traffic = since(slot.at_start, counts);
  };
  if (now_.began_us >= 0) add(now_);
  for (auto slot = before_.rbegin(); slot != before_.rend() && out.window_us < window_us; ++slot) add(*slot);
  return out;
}

}  // namespace tidewire::hub
