#include "kinds/inbox_entries.h"

#include <algorithm>
#include <functional>

#include "base/check.h"

namespace tidewire::kinds {

namespace {
// So many ends without an entry are not worth a search.
constexpr std::size_t kFew = 16;
}  // namespace

void InboxEntries::add(InboxPlace place, InboxEntry entry) {
  const std::int64_t expires_ms = entry.expires_ms;
  const std::size_t bytes = entry.body.size();
  if (!entries_.try_emplace(place, std::move(entry)).second) return;
  Amount& held = held_[index_of(place.priority())];
  ++held.count;
  held.bytes += bytes;
  bytes_ += bytes;
  ends_.push_back({expires_ms, place});
  std::ranges::push_heap(ends_, std::greater());
}

InboxEntries::Map::const_iterator InboxEntries::find(std::uint64_t seq) const {
  for (std::size_t i = 0; i < held_.size(); ++i) {
    if (held_[i].count == 0) continue;
    const auto found = entries_.find({static_cast<Priority>(i), seq});
    if (found != entries_.end()) return found;
  }
  return entries_.end();
}

std::uint64_t InboxEntries::oldest_seq() const {
  std::uint64_t oldest = 0;
  for (std::size_t i = 0; i < held_.size(); ++i) {
    if (held_[i].count == 0) continue;
    const std::uint64_t seq = entries_.lower_bound({static_cast<Priority>(i), 0})->first.seq();
    oldest = oldest == 0 ? seq : std::min(oldest, seq);
  }
  return oldest;
}

void InboxEntries::remove(Map::const_iterator entry) {
  erase(entry);
  settle();
}

void InboxEntries::remove_expired(std::int64_t now_ms) {
  while (!ends_.empty() && ends_.front().expires_ms <= now_ms) {
    if (const auto entry = entries_.find(ends_.front().place); entry != entries_.end()) erase(entry);
    pop_end();
  }
  settle();
}

void InboxEntries::remove_least() {
  TIDEWIRE_CHECK(!entries_.empty());
  remove(entries_.lower_bound({entries_.rbegin()->first.priority(), 0}));
}

InboxEntries::Amount InboxEntries::pending_among_first(std::size_t priorities, std::int64_t now_ms) const {
  Amount amount;
  const auto add = [&](const Amount& more) {
    amount.count += more.count;
    amount.bytes += more.bytes;
  };
  if (ends_.empty() || ends_.front().expires_ms > now_ms) {
    for (std::size_t i = 0; i < priorities; ++i) add(held_[i]);
    return amount;
  }
  for (const auto& [place, entry] : entries_) {
    if (index_of(place.priority()) >= priorities) break;
    if (!entry.expired(now_ms)) add({1, entry.body.size()});
  }
  return amount;
}

void InboxEntries::erase(Map::const_iterator entry) {
  Amount& held = held_[index_of(entry->first.priority())];
  --held.count;
  held.bytes -= entry->second.body.size();
  bytes_ -= entry->second.body.size();
  entries_.erase(entry);
}

// Lets go of ends without an entry.
void InboxEntries::settle() {
  while (!ends_.empty() && !entries_.contains(ends_.front().place)) pop_end();
  if (ends_.size() <= 2 * entries_.size() + kFew) return;
  std::erase_if(ends_, [&](const End& end) { return !entries_.contains(end.place); });
  std::ranges::make_heap(ends_, std::greater());
}

void InboxEntries::pop_end() {
  std::ranges::pop_heap(ends_, std::greater());
  ends_.pop_back();
}

}  // namespace tidewire::kinds
