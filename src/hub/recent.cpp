#include "hub/recent.h"

#include <algorithm>

namespace tidewire::hub {

void Recent::note_request(std::int64_t took_us, std::uint64_t times) {
  now_.requests.record(took_us, times);
  requests_.record(took_us, times);
}

void Recent::note_call(std::int64_t took_us) {
  now_.calls.record(took_us);
  calls_.record(took_us);
}

void Recent::note_round_trip(std::int64_t took_us) {
  now_.round_trips.record(took_us);
  round_trips_.record(took_us);
}

void Recent::tick(const std::vector<ShardCounts>& tenants, const Time& now) {
  if (now_.began_us < 0) now_.began_us = now.mono_us;  // what came before the first tick counts as well
  if (!due(now)) return;
  before_.push_back(std::move(now_));
  if (before_.size() > kMinutes) before_.pop_front();
  now_ = Slot();
  now_.began_us = now.mono_us;
  now_.at_start = tenants;
}

Analytics Recent::over(std::int64_t window_us, const std::vector<ShardCounts>& tenants,
                       const Time& now) const {
  Analytics out;
  if (window_us <= 0) {
    out.requests = requests_;
    out.calls = calls_;
    out.round_trips = round_trips_;
    return out;
  }
  // Before the first tick the slot has no beginning yet: what there is counts, over no time.
  const auto add = [&](const Slot& slot) {
    out.requests.merge(slot.requests);
    out.calls.merge(slot.calls);
    out.round_trips.merge(slot.round_trips);
    out.talkers.merge(slot.talkers);
    out.window_us = slot.began_us < 0 ? 0 : now.mono_us - slot.began_us;
    out.tenants = tenants;
    for (std::size_t i = 0; i < std::min(tenants.size(), slot.at_start.size()); ++i)
      out.tenants[i] = tenants[i].since(slot.at_start[i]);
  };
  add(now_);
  for (auto slot = before_.rbegin(); slot != before_.rend() && out.window_us < window_us; ++slot) add(*slot);
  return out;
}

}  // namespace tidewire::hub
