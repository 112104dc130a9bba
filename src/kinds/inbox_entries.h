// The entries that an inbox holds, in the order of their delivery, and which of them ends next.
//
// Invariant: every entry has its end in the heap, and the end on top is that of an entry; the others may
// have outlived theirs, but never by many more than there are entries. Owned by an inbox.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <vector>

#include "base/shared_bytes.h"
#include "kinds/event.h"

namespace tidewire::kinds {

// Priority and seq in one number, whose order is the order of delivery.
class InboxPlace {
 public:
  InboxPlace(Priority priority, std::uint64_t seq)
      : value_((std::uint64_t{static_cast<std::uint8_t>(priority)} << kSeqBits) | std::min(seq, kSeqMask)) {}
  Priority priority() const { return static_cast<Priority>(value_ >> kSeqBits); }
  std::uint64_t seq() const { return value_ & kSeqMask; }
  friend auto operator<=>(InboxPlace, InboxPlace) = default;

 private:
  static constexpr int kSeqBits = 56;
  static constexpr std::uint64_t kSeqMask = (std::uint64_t{1} << kSeqBits) - 1;
  std::uint64_t value_;
};

struct InboxEntry {
  std::int64_t expires_ms = 0;
  SharedBytes body = {};
  bool expired(std::int64_t now_ms) const { return expires_ms <= now_ms; }
};

class InboxEntries {
 public:
  using Map = std::map<InboxPlace, InboxEntry>;
  struct Amount {
    std::size_t count = 0;
    std::size_t bytes = 0;  // of the bodies
  };

  const Map& all() const { return entries_; }
  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  std::size_t count(Priority priority) const { return held_[index_of(priority)].count; }
  std::size_t bytes() const { return bytes_; }  // of the bodies

  // Keeps the one that is there already.
  void add(InboxPlace place, InboxEntry entry);

  // The end where there is none. O(log n).
  Map::const_iterator find(std::uint64_t seq) const;

  // 0 when there is none. O(log n).
  std::uint64_t oldest_seq() const;

  // Each O(log n) for an entry that goes, taken over many calls.
  void remove(Map::const_iterator entry);
  void remove_expired(std::int64_t now_ms);
  // The oldest of the lowest priority; there must be one.
  void remove_least();

  // Entries that have not expired: all, and those more important than this priority. O(1) while none has.
  std::size_t pending(std::int64_t now_ms) const { return pending_among_first(held_.size(), now_ms).count; }
  Amount pending_above(Priority priority, std::int64_t now_ms) const {
    return pending_among_first(index_of(priority), now_ms);
  }

  // Ends in the heap, a measure of its memory.
  std::size_t ends() const { return ends_.size(); }

 private:
  struct End {
    std::int64_t expires_ms = 0;
    InboxPlace place;
    friend bool operator>(const End& a, const End& b) { return a.expires_ms > b.expires_ms; }
  };

  static std::size_t index_of(Priority priority) { return static_cast<std::size_t>(priority); }
  Amount pending_among_first(std::size_t priorities, std::int64_t now_ms) const;
  void erase(Map::const_iterator entry);
  void settle();
  void pop_end();

  Map entries_;
  std::array<Amount, protocol::kPriorities> held_{};
  std::size_t bytes_ = 0;  // of all
  std::vector<End> ends_;  // a heap, the next one on top
};

}  // namespace tidewire::kinds
