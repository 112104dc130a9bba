// The second bucket of a connection (protocol §6, `limits.frames_per_second`): it counts every frame,
// pings and fragments included, and never refuses one; who sends more is read more slowly. Owned by
// the connection's shard.
#pragma once

#include <cstdint>

#include "guard/limits.h"
#include "guard/token_bucket.h"

namespace tidewire::guard {

class FramePacer {
 public:
  // Counts frames that were read. The result is how long not to read from this connection, in ms; 0
  // means go on. What was read beyond the bucket is made up for, so the average stays at the rate
  // however many frames one read brings.
  std::int64_t take(const Limits& limits, std::int64_t frames, std::int64_t now_ms) {
    return bucket_.overdraw(now_ms, frames, limits.frame_rate());
  }

 private:
  TokenBucket bucket_;
};

}  // namespace tidewire::guard
