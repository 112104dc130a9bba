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
  if (!entries_.try_emplace(place, std::move(entry)).second) return;
  ++counts_[index_of(place.priority())];
  ends_.push_back({expires_ms, place});
  std::ranges::push_heap(ends_, std::greater());
}

InboxEntries::Map::const_iterator InboxEntries::find(std::uint64_t seq) const {
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
    const auto found = entries_.find({static_cast<Priority>(i), seq});
    if (found != entries_.end()) return found;
  }
  return entries_.end();
}

std::uint64_t InboxEntries::oldest_seq() const {
  std::uint64_t oldest = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
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

std::size_t InboxEntries::pending_among_first(std::size_t priorities, std::int64_t now_ms) const {
  std::size_t count = 0;
  if (ends_.empty() || ends_.front().expires_ms > now_ms) {
    for (std::size_t i = 0; i < priorities; ++i) count += counts_[i];
    return count;
  }
  for (const auto& [place, entry] : entries_) {
    if (index_of(place.priority()) >= priorities) break;
    count += entry.expired(now_ms) ? 0 : 1;
  }
  return count;
}

void InboxEntries::erase(Map::const_iterator entry) {
  --counts_[index_of(entry->first.priority())];
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
