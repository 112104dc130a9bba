// Counts rare events exactly within the last minute. Eight bytes while nothing happened; afterwards
// the times of the newest `most` events, on the heap. Owned by whoever holds it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace tidewire::guard {

class EventWindow {
 public:
  static constexpr std::int64_t kMost = 10'000;  // `most` is cut to this

  // Notes an event and returns how many there were in the minute up to now, this one included; never
  // more than `most`.
  std::int64_t record(std::int64_t now_ms, std::int64_t most);

  // How long until fewer than `most` events lie within the last minute; 0 if it is so now.
  std::int64_t room_in_ms(std::int64_t now_ms, std::int64_t most) const;

  std::int64_t last_ms() const;  // of the newest event; far in the past if there was none
  void clear() { times_ms_.reset(); }

 private:
  std::unique_ptr<std::vector<std::int64_t>> times_ms_;  // ascending
};

}  // namespace tidewire::guard
