// The limit of `auth` messages of one connection (protocol §6): an eleventh within a minute is
// `rate_limited`. A refused one is not counted, so ten a minute always pass. Owned by the
// connection's shard; 8 bytes until the first one comes.
#pragma once

#include <cstdint>

#include "guard/event_window.h"
#include "guard/limits.h"

namespace tidewire::guard {

class AuthRate {
 public:
  // 0: go on. Else answer `rate_limited` with this retry_after_ms.
  std::int64_t check(std::int64_t now_ms) {
    const std::int64_t wait_ms = window_.room_in_ms(now_ms, Limits::kAuthMessagesPerMinute);
    if (wait_ms == 0) window_.record(now_ms, Limits::kAuthMessagesPerMinute);
    return wait_ms;
  }

 private:
  EventWindow window_;
};

}  // namespace tidewire::guard
