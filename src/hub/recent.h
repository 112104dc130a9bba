// The last minutes of one shard, for the analytics page (protocol §8): what its counters were at the
// beginning of each minute, how long requests, HTTP calls and pings took in it, and who talked most.
//
// Bounded: kMinutes slots of about 16 KiB. Owned by the shard's thread; takes now.
#pragma once

#include <deque>

#include "base/time.h"
#include "hub/analytics.h"
#include "hub/messages.h"

namespace tidewire::hub {

class Recent {
 public:
  static constexpr std::size_t kMinutes = 15;
  static constexpr std::int64_t kSlot_us = 60'000'000;

  // How long a request took: from the turn that read it to the end of the one that wrote its answer.
  void note_request(std::int64_t took_us, std::uint64_t times = 1);
  // How long an HTTP call took, from its last byte to its answer.
  void note_call(std::int64_t took_us);
  void note_round_trip(std::int64_t took_us);
  template <class SetTalker>
  void note_talker(const guard::LimitKey& key, std::uint64_t bytes, SetTalker&& set) {
    now_.talkers.note(key, 1, bytes, std::forward<SetTalker>(set));
  }

  // Begins a new slot when the time has come; a few times a second. `tenants` is what the shard has counted
  // of each until now.
  void tick(const std::vector<ShardCounts>& tenants, const Time& now);
  bool due(const Time& now) const { return now_.began_us < 0 || now.mono_us - now_.began_us >= kSlot_us; }

  // The last `window_us`, rounded up to whole slots; `tenants` as for tick(). With 0: since the start,
  // histograms only.
  Analytics over(std::int64_t window_us, const std::vector<ShardCounts>& tenants, const Time& now) const;

 private:
  struct Slot {
    std::int64_t began_us = -1;  // mono; -1: not yet
    std::vector<ShardCounts> at_start;
    Histogram requests;
    Histogram calls;
    Histogram round_trips;
    Talkers talkers;
  };

  Slot now_;
  std::deque<Slot> before_;  // oldest first
  Histogram requests_;       // since the start
  Histogram calls_;
  Histogram round_trips_;
};

}  // namespace tidewire::hub
