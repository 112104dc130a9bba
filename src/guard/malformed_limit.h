// The limit of malformed messages of one connection (protocol §6): the 20th within a minute is
// answered like the others and then ends the connection with 1008 `invalid_message`. Owned by the
// connection's shard; 8 bytes until the first one comes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "guard/event_window.h"
#include "guard/limits.h"

namespace tidewire::guard {

class MalformedLimit {
 public:
  enum class Verdict : std::uint8_t { answer, answer_and_close };

  // Notes a malformed message: invalid_json, invalid_message, unknown_type or too_large.
  Verdict record(const Limits& limits, std::int64_t now_ms) {
    const std::int64_t most = limits.malformed_per_minute;
    if (most <= 0) return Verdict::answer;
    const bool last = window_.record(now_ms, most) >= std::min(most, EventWindow::kMost);
    return last ? Verdict::answer_and_close : Verdict::answer;
  }

 private:
  EventWindow window_;
};
static_assert(sizeof(MalformedLimit) <= 16);

}  // namespace tidewire::guard
