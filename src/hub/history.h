// The newest messages of a channel, kept by count, age and bytes; the log of a memory channel and the
// cache in front of a durable one's log.
//
// Invariant: entries have contiguous seqs and end at the channel's latest. An entry whose own time to
// live has ended is a hole: it counts for nothing and is read as a gap (protocol §4 `ttl_ms`).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/ring.h"
#include "base/shared_bytes.h"
#include "hub/messages.h"
#include "log/log.h"

namespace tidewire::hub {

using log::Entry;

struct HistoryBounds {
  std::size_t messages = 0;
  std::int64_t ttl_ms = 0;  // 0: no limit
  std::size_t bytes = std::size_t{16} << 20;
  bool is_cache = false;  // of a log that may hold older entries
};

class History {
 public:
  void append(Entry entry, const HistoryBounds& bounds);
  // Drops what the bounds no longer allow, and expired entries at the old end. Answers the seq before
  // which everything is too old, 0 for none.
  std::uint64_t trim(std::int64_t now_ms, const HistoryBounds& bounds);

  bool empty() const { return !kept_; }
  // The oldest seq kept; 0 when empty. Exact after trim().
  std::uint64_t first_seq() const { return kept_ ? kept_->entries.front().seq : 0; }
  std::uint64_t last_seq() const { return kept_ ? kept_->entries.back().seq : 0; }
  // One that is kept.
  const Entry& at(std::uint64_t seq) const { return kept_->entries[seq - first_seq()]; }
  void clear() { kept_.reset(); }

  // Whether read() can begin at `next`: nothing from there on is missing.
  bool holds(std::uint64_t next) const { return kept_ && next >= first_seq(); }

  // Reads from `next` on until `messages_max` or `bytes_max` is reached (at least one message), holes
  // as gaps. `next` moves behind what was read; true when it has moved past the newest.
  bool read(std::uint64_t& next, std::int64_t now_ms, std::size_t messages_max, std::size_t bytes_max,
            std::vector<CatchUpItem>& out) const;

  // The seq at which the newest `count` messages that are there begin; last_seq() + 1 for none. `count`
  // becomes the number of those that are not here.
  std::uint64_t start_of_last(std::uint64_t& count, std::int64_t now_ms) const;

  // Up to `limit` messages with after < seq < before, ascending: the oldest of them, or the newest
  // where `newest` is true; fewer where they would be longer than kPageBytes together, at least one.
  std::vector<SharedBytes> page(std::uint64_t after, std::uint64_t before, std::uint64_t limit, bool newest,
                                std::int64_t now_ms) const;
  // Likewise of messages that were read elsewhere.
  static void cut_to_page(std::vector<SharedBytes>& messages, bool newest);
  // 4 MiB with what a reply has beside its messages.
  static constexpr std::size_t kPageBytes = (std::size_t{4} << 20) - 1024;

 private:
  struct Kept {
    Ring<Entry> entries;
    std::size_t bytes = 0;
  };

  void drop_front();
  std::unique_ptr<Kept> kept_;  // null while nothing is kept: most channels are quiet
};

}  // namespace tidewire::hub
