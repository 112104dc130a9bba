#include "hub/history.h"

#include <algorithm>

namespace tidewire::hub {

void History::append(Entry entry, const HistoryBounds& bounds) {
  if (bounds.messages == 0) return;
  TIDEWIRE_CHECK(entries_.empty() || entry.seq == entries_.back().seq + 1);
  bytes_ += entry.body.size();
  entries_.push_back(std::move(entry));
  while (entries_.size() > bounds.messages || (bytes_ > bounds.bytes && entries_.size() > 1)) drop_front();
}

std::uint64_t History::trim(std::int64_t now_ms, const HistoryBounds& bounds) {
  std::uint64_t too_old_before = 0;
  while (!entries_.empty()) {
    const Entry& oldest = entries_.front();
    const bool too_old = bounds.ttl_ms != 0 && oldest.timestamp_ms + bounds.ttl_ms <= now_ms;
    // In a cache an expired entry is a hole like any other: older ones in the log may live longer.
    const bool expired = !bounds.is_cache && oldest.expired(now_ms);
    if (!too_old && !expired && entries_.size() <= bounds.messages) break;
    if (too_old) too_old_before = oldest.seq + 1;
    drop_front();
  }
  return too_old_before;
}

void History::drop_front() {
  bytes_ -= entries_.front().body.size();
  entries_.pop_front();
}

bool History::read(std::uint64_t& next, std::int64_t now_ms, std::size_t messages_max, std::size_t bytes_max,
                   std::vector<CatchUpItem>& out) const {
  if (entries_.empty()) return true;
  TIDEWIRE_CHECK(next >= first_seq());
  std::size_t messages = 0, bytes = 0;
  for (; next <= last_seq() && messages < messages_max && bytes < bytes_max; ++next) {
    const Entry& entry = entries_[next - first_seq()];
    if (!entry.expired(now_ms)) {
      out.push_back({.first = next, .last = next, .body = entry.body, .expires_ms = entry.expires_ms});
      ++messages;
      bytes += entry.body.size();
    } else if (!out.empty() && out.back().kind == CatchUpItem::Kind::gap && out.back().last + 1 == next) {
      out.back().last = next;
    } else {
      out.push_back({.first = next, .last = next, .body = {}, .kind = CatchUpItem::Kind::gap});
    }
  }
  return next > last_seq();
}

std::uint64_t History::start_of_last(std::uint64_t& count, std::int64_t now_ms) const {
  std::uint64_t start = last_seq() + 1;
  for (std::size_t i = entries_.size(); i > 0 && count > 0; --i) {
    if (entries_[i - 1].expired(now_ms)) continue;
    start = entries_[i - 1].seq;
    --count;
  }
  return start;
}

std::vector<SharedBytes> History::page(std::uint64_t after, std::uint64_t before, std::uint64_t limit,
                                       bool newest, std::int64_t now_ms) const {
  std::vector<SharedBytes> out;
  if (entries_.empty()) return out;
  const std::uint64_t low = std::max(after + 1, first_seq());
  const std::uint64_t high = std::min(before, last_seq() + 1);  // exclusive
  std::size_t bytes = 0;
  // False when the page is full.
  const auto take = [&](std::uint64_t seq) {
    const Entry& entry = entries_[seq - first_seq()];
    if (entry.expired(now_ms)) return true;
    bytes += entry.body.size();
    if (out.size() == limit || (bytes > kPageBytes && !out.empty())) return false;
    out.push_back(entry.body);
    return true;
  };
  if (newest) {
    for (std::uint64_t seq = high; seq > low && take(seq - 1);) --seq;
    std::ranges::reverse(out);
  } else {
    for (std::uint64_t seq = low; seq < high && take(seq);) ++seq;
  }
  return out;
}

}  // namespace tidewire::hub
