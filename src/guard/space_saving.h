// The heaviest of many: a space-saving sketch (Metwally, Agrawal, El Abbadi 2005) of `kCapacity` counters.
//
// Whoever makes more than 1/kCapacity of the whole is in it. A count is never too low and at most
// `error` too high. A note costs a scan of kCapacity words. Sketches merge. Owned by one thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "guard/limit_key.h"

namespace tidewire::guard {

template <class Label, std::size_t kCapacity = 32>
class SpaceSaving {
 public:
  struct Entry {
    LimitKey key;
    Label label{};
    std::uint64_t count = 0;
    std::uint64_t error = 0;  // of the count, the part that may be somebody else's
    std::uint64_t bytes = 0;  // since it was taken in: never too high
  };

  // `label()` is asked for only when the key is new.
  template <class MakeLabel>
  void note(const LimitKey& key, std::uint64_t count, std::uint64_t bytes, MakeLabel&& label) {
    const std::size_t at = place_of(key);
    if (at < size_) {
      counts_[at] += count;
      entries_[at].bytes += bytes;
      return;
    }
    put(key, label(), count, 0, bytes);
  }

  // Adds what another sketch has seen.
  void merge(const SpaceSaving& other) {
    for (const Entry& theirs : other.entries()) {
      const std::size_t at = place_of(theirs.key);
      if (at < size_) {
        counts_[at] += theirs.count;
        entries_[at].error += theirs.error;
        entries_[at].bytes += theirs.bytes;
      } else {
        put(theirs.key, theirs.label, theirs.count, theirs.error, theirs.bytes);
      }
    }
  }

  // The heaviest first.
  std::vector<Entry> entries() const {
    std::vector<Entry> out(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(size_));
    for (std::size_t i = 0; i < size_; ++i) {
      out[i].key = {.high = highs_[i], .low = lows_[i]};
      out[i].count = counts_[i];
    }
    std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return a.count > b.count; });
    return out;
  }
  bool empty() const { return size_ == 0; }
  void clear() { *this = SpaceSaving(); }

 private:
  std::size_t place_of(const LimitKey& key) const {
    for (std::size_t i = 0; i < size_; ++i)
      if (lows_[i] == key.low && highs_[i] == key.high) return i;
    return kCapacity;
  }

  // In a full sketch the newcomer takes the place and the count of the lightest.
  void put(const LimitKey& key, Label label, std::uint64_t count, std::uint64_t error, std::uint64_t bytes) {
    std::size_t at = size_;
    std::uint64_t inherited = 0;
    if (size_ < kCapacity) {
      ++size_;
    } else {
      at = static_cast<std::size_t>(std::min_element(counts_.begin(), counts_.end()) - counts_.begin());
      inherited = counts_[at];
    }
    lows_[at] = key.low;
    highs_[at] = key.high;
    counts_[at] = inherited + count;
    entries_[at] = {
        .key = {}, .label = std::move(label), .count = 0, .error = inherited + error, .bytes = bytes};
  }

  // Apart from the entries, so that looking for a key reads a few cache lines.
  std::array<std::uint64_t, kCapacity> lows_{};
  std::array<std::uint64_t, kCapacity> highs_{};
  std::array<std::uint64_t, kCapacity> counts_{};
  std::array<Entry, kCapacity> entries_{};
  std::size_t size_ = 0;
};

}  // namespace tidewire::guard
