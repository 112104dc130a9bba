// The heaviest of many: a space-saving sketch (Metwally, Agrawal, El Abbadi 2005) of `kCapacity` counters.
//
// Whoever makes more than 1/kCapacity of the whole is in it. A count is never too low and at most
// `error` too high. A note costs a look at kCapacity / 4 vectors, also where most keys are new. Sketches
// merge. Owned by one thread.
#pragma once

#include <emmintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "guard/limit_key.h"

namespace tidewire::guard {

template <class Label, std::size_t kCapacity = 32>
class SpaceSaving {
  static_assert(kCapacity % 4 == 0 && kCapacity <= 64);

 public:
  struct Entry {
    LimitKey key;
    Label label{};
    std::uint64_t count = 0;
    std::uint64_t error = 0;  // of the count, the part that may be somebody else's
    std::uint64_t bytes = 0;  // since it was taken in: never too high
  };

  // `set(label)` is called only when the key is new, with somebody else's label or an empty one, so that a
  // text in it need not be allocated again.
  template <class SetLabel>
  void note(const LimitKey& key, std::uint64_t count, std::uint64_t bytes, SetLabel&& set) {
    const std::size_t at = place_of(key);
    if (at < size_) {
      counts_[at] += count;
      entries_[at].bytes += bytes;
      return;
    }
    set(put(key, count, 0, bytes).label);
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
        put(theirs.key, theirs.count, theirs.error, theirs.bytes).label = theirs.label;
      }
    }
  }

  // The heaviest first.
  std::vector<Entry> entries() const {
    std::vector<Entry> out(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(size_));
    for (std::size_t i = 0; i < size_; ++i) {
      out[i].key = keys_[i];
      out[i].count = counts_[i];
    }
    std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return a.count > b.count; });
    return out;
  }
  bool empty() const { return size_ == 0; }
  void clear() { *this = SpaceSaving(); }

 private:
  static std::uint32_t tag_of(const LimitKey& key) { return static_cast<std::uint32_t>(key.low); }

  // kCapacity: nowhere.
  std::size_t place_of(const LimitKey& key) const {
    const __m128i wanted = _mm_set1_epi32(static_cast<int>(tag_of(key)));
    std::uint64_t same = 0;
    for (std::size_t i = 0; i < kCapacity; i += 4) {
      const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(&tags_[i]));
      const int four = _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(tags, wanted)));
      same |= static_cast<std::uint64_t>(static_cast<unsigned>(four)) << i;
    }
    for (; same != 0; same &= same - 1) {
      const auto at = static_cast<std::size_t>(std::countr_zero(same));
      if (at < size_ && keys_[at] == key) return at;
    }
    return kCapacity;
  }

  // In a full sketch the newcomer takes the place and the count of the lightest, and finds its label.
  Entry& put(const LimitKey& key, std::uint64_t count, std::uint64_t error, std::uint64_t bytes) {
    std::size_t at = size_;
    std::uint64_t inherited = 0;
    if (size_ < kCapacity) {
      ++size_;
    } else {
      at = lightest();
      inherited = counts_[at];
    }
    tags_[at] = tag_of(key);
    keys_[at] = key;
    counts_[at] = inherited + count;
    entries_[at].error = inherited + error;
    entries_[at].bytes = bytes;
    return entries_[at];
  }

  // Counts never fall, so the least one is sought only once nobody has it any more.
  std::size_t lightest() {
    while (true) {
      for (std::size_t looks = 0; looks < kCapacity; ++looks) {
        hand_ = (hand_ + 1) % kCapacity;
        if (counts_[hand_] == least_) return hand_;
      }
      least_ = *std::min_element(counts_.begin(), counts_.end());
    }
  }

  // Apart from the entries, so that looking for a key reads a few cache lines.
  alignas(16) std::array<std::uint32_t, kCapacity> tags_{};
  std::array<LimitKey, kCapacity> keys_{};
  std::array<std::uint64_t, kCapacity> counts_{};
  std::array<Entry, kCapacity> entries_{};
  std::size_t size_ = 0;
  std::size_t hand_ = 0;     // where lightest() looked last
  std::uint64_t least_ = 0;  // no count is below it once all are used
};

}  // namespace tidewire::guard
