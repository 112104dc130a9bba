#include "guard/attempt_table.h"

#include <algorithm>

namespace tidewire::guard {

std::int64_t AttemptTable::Entry::idle_at_ms() const {
  return std::max(penalty_until_ms, failures.last_ms() + Limits::kMinute_ms);
}

std::int64_t AttemptTable::blocked_for_ms(const LimitKey& key, std::int64_t now_ms) {
  const Entry* entry = entries_.find(key);
  if (!entry || now_ms >= entry->penalty_until_ms) return 0;
  return entry->penalty_until_ms - now_ms;
}

bool AttemptTable::record_failure(const LimitKey& key, const Limits& limits, std::int64_t now_ms) {
  if (limits.attempts_per_minute <= 0 || limits.attempts_penalty_ms <= 0) return false;
  Entry& entry = entries_.insert(key, now_ms);
  if (now_ms < entry.penalty_until_ms) return false;
  const std::int64_t most = std::min(limits.attempts_per_minute, EventWindow::kMost);
  if (entry.failures.record(now_ms, most) < most) return false;
  entry.failures.clear();
  entry.penalty_until_ms = now_ms + limits.attempts_penalty_ms;
  return true;
}

}  // namespace tidewire::guard
