#include "guard/event_window.h"

#include <algorithm>
#include <limits>

#include "guard/limits.h"

namespace tidewire::guard {

std::int64_t EventWindow::record(std::int64_t now_ms, std::int64_t most) {
  most = std::clamp<std::int64_t>(most, 1, kMost);
  if (!times_ms_) times_ms_ = std::make_unique<std::vector<std::int64_t>>();
  std::vector<std::int64_t>& times = *times_ms_;
  // Two shards' clocks may differ by a turn; the order is kept.
  times.push_back(times.empty() ? now_ms : std::max(now_ms, times.back()));
  auto keep = std::upper_bound(times.begin(), times.end(), now_ms - Limits::kMinute_ms);
  if (times.end() - keep > most) keep = times.end() - most;
  times.erase(times.begin(), keep);
  return static_cast<std::int64_t>(times.size());
}

std::int64_t EventWindow::room_in_ms(std::int64_t now_ms, std::int64_t most) const {
  most = std::clamp<std::int64_t>(most, 1, kMost);
  const std::int64_t known = times_ms_ ? static_cast<std::int64_t>(times_ms_->size()) : 0;
  if (known < most) return 0;
  const std::int64_t must_leave_ms = (*times_ms_)[static_cast<std::size_t>(known - most)];
  return std::max<std::int64_t>(0, must_leave_ms + Limits::kMinute_ms - now_ms);
}

std::int64_t EventWindow::last_ms() const {
  return times_ms_ && !times_ms_->empty() ? times_ms_->back() : std::numeric_limits<std::int64_t>::min() / 2;
}

}  // namespace tidewire::guard
