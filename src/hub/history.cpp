#include "hub/history.h"

#include <algorithm>

namespace tidewire::hub {

namespace {
constexpr std::size_t kBesideBody = 2;  // in the list, a brace and a comma
}

void History::append(Entry entry, const HistoryBounds& bounds) {
  if (bounds.messages == 0) return clear();  // what a reload has left would end before the latest
  if (!kept_) kept_ = std::make_unique<Kept>();
  Ring<Entry>& entries = kept_->entries;
  TIDEWIRE_CHECK(entries.empty() || entry.seq == entries.back().seq + 1);
  kept_->bytes += entry.body.size();
  entries.push_back(std::move(entry));
  while (entries.size() > bounds.messages || (kept_->bytes > bounds.bytes && entries.size() > 1))
    drop_front();
}

std::uint64_t History::trim(std::int64_t now_ms, const HistoryBounds& bounds) {
  std::uint64_t too_old_before = 0;
  while (kept_) {
    const Entry& oldest = kept_->entries.front();
    const bool too_old = bounds.ttl_ms != 0 && oldest.timestamp_ms + bounds.ttl_ms <= now_ms;
    // In a cache an expired entry is a hole like any other: older ones in the log may live longer.
    const bool expired = !bounds.is_cache && oldest.expired(now_ms);
    if (!too_old && !expired && kept_->entries.size() <= bounds.messages) break;
    if (too_old) too_old_before = oldest.seq + 1;
    drop_front();
  }
  return too_old_before;
}

void History::drop_front() {
  kept_->bytes -= kept_->entries.front().body.size();
  kept_->entries.pop_front();
  if (kept_->entries.empty()) kept_.reset();
}

bool History::read(std::uint64_t& next, std::int64_t now_ms, std::size_t messages_max, std::size_t bytes_max,
                   std::vector<CatchUpItem>& out) const {
  if (!kept_) return true;
  TIDEWIRE_CHECK(next >= first_seq());
  std::size_t messages = 0, bytes = 0;
  for (; next <= last_seq() && messages < messages_max && bytes < bytes_max; ++next) {
    const Entry& entry = at(next);
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
  for (std::size_t i = kept_ ? kept_->entries.size() : 0; i > 0 && count > 0; --i) {
    const Entry& entry = kept_->entries[i - 1];
    if (entry.expired(now_ms)) continue;
    start = entry.seq;
    --count;
  }
  return start;
}

std::vector<SharedBytes> History::page(std::uint64_t after, std::uint64_t before, std::uint64_t limit,
                                       bool newest, std::int64_t now_ms) const {
  std::vector<SharedBytes> out;
  if (!kept_) return out;
  const std::uint64_t low = std::max(after + 1, first_seq());
  const std::uint64_t high = std::min(before, last_seq() + 1);  // exclusive
  std::size_t bytes = 0;
  // False when the page is full.
  const auto take = [&](std::uint64_t seq) {
    const Entry& entry = at(seq);
    if (entry.expired(now_ms)) return true;
    bytes += entry.body.size() + kBesideBody;
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

void History::cut_to_page(std::vector<SharedBytes>& messages, bool newest) {
  std::size_t bytes = 0, kept = 0;
  for (; kept < messages.size(); ++kept) {
    bytes += messages[newest ? messages.size() - 1 - kept : kept].size() + kBesideBody;
    if (bytes > kPageBytes && kept > 0) break;
  }
  const auto excess = static_cast<std::ptrdiff_t>(messages.size() - kept);
  if (newest)
    messages.erase(messages.begin(), messages.begin() + excess);
  else
    messages.erase(messages.end() - excess, messages.end());
}

}  // namespace tidewire::hub
