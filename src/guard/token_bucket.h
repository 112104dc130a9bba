// A token bucket in 16 bytes, exact in integers.
//
// A token is 60,000,000 units, so a rate per minute scaled by thousandths refills a whole number of
// units each millisecond and nothing is ever rounded away. Invariant: in any window no more is taken
// than burst + rate * window. The bucket does not keep its rate: the caller hands it in, so a reload
// or an adaptive limit acts at once. Owned by whoever holds it; a new bucket is full.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace tidewire::guard {

// What part of the announced limit is in force, in thousandths: 500 to 1200 (protocol §6).
class LimitFactor {
 public:
  constexpr LimitFactor() = default;
  static constexpr LimitFactor of(double ratio) {
    LimitFactor factor;
    if (!(ratio > 0.5)) ratio = 0.5;  // and for what is not a number
    factor.permille_ = static_cast<std::int16_t>(std::min(ratio, 1.2) * 1000 + 0.5);
    return factor;
  }
  constexpr std::int64_t permille() const { return permille_; }

 private:
  std::int16_t permille_ = 1000;
};

struct Rate {
  static constexpr std::int64_t kToken = 60'000'000;
  static constexpr std::int64_t kMost = 1'000'000'000;  // tokens a minute, or of burst

  std::int64_t refill_per_ms = 0;  // units; 0: no limit
  std::int64_t capacity = kToken;  // units; at least one token, else nothing would ever pass

  // 0 a minute means no limit. Both are cut to kMost.
  static constexpr Rate per_minute(std::int64_t tokens, std::int64_t burst, LimitFactor factor = {}) {
    tokens = std::clamp<std::int64_t>(tokens, 0, kMost);
    burst = std::clamp<std::int64_t>(burst, 0, kMost);
    return {.refill_per_ms = tokens * factor.permille(),
            .capacity = std::max(kToken, burst * (kToken / 1000) * factor.permille())};
  }
  constexpr bool off() const { return refill_per_ms == 0; }
  // The same limit for `n` at once, n at most 20.
  constexpr Rate times(std::int64_t n) const {
    return {.refill_per_ms = n * refill_per_ms, .capacity = n * capacity};
  }
};

class TokenBucket {
 public:
  // Takes a token if there is one. Time that runs backwards (another shard's `now` is a turn older)
  // counts as no time passed.
  bool take(std::int64_t now_ms, const Rate& rate) {
    if (rate.off()) return true;
    refill(now_ms, rate);
    if (level_ < Rate::kToken) return false;
    level_ -= Rate::kToken;
    return true;
  }

  // How long until a token is there: 0 when take() would succeed, and it does succeed once exactly
  // this much time has passed (and nobody else took it).
  std::int64_t retry_after_ms(std::int64_t now_ms, const Rate& rate) const {
    if (rate.off()) return 0;
    return ms_until(Rate::kToken, level_at(now_ms, rate), rate);
  }

  // Takes `tokens` whether they are there or not, for what already happened, and returns how long it
  // takes to make up for it: 0 while the bucket is not overdrawn.
  std::int64_t overdraw(std::int64_t now_ms, std::int64_t tokens, const Rate& rate) {
    if (rate.off()) return 0;
    refill(now_ms, rate);
    tokens = std::clamp<std::int64_t>(tokens, 0, Rate::kMost);
    level_ = std::max(level_ - tokens * Rate::kToken, -kDeepest);
    return ms_until(0, level_, rate);
  }

  // When the bucket will be full again, on the clock of `now_ms`; not after `now_ms` if it is.
  std::int64_t full_at_ms(std::int64_t now_ms, const Rate& rate) const {
    return rate.off() ? now_ms : now_ms + ms_until(rate.capacity, level_at(now_ms, rate), rate);
  }

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min() / 2;
  static constexpr std::int64_t kDeepest = std::int64_t{1} << 60;

  std::int64_t level_at(std::int64_t now_ms, const Rate& rate) const {
    if (now_ms <= at_ms_) return std::min(level_, rate.capacity);
    std::int64_t gain = 0;
    const bool overflow = __builtin_mul_overflow(now_ms - at_ms_, rate.refill_per_ms, &gain);
    return overflow || gain >= rate.capacity - level_ ? rate.capacity : level_ + gain;
  }
  void refill(std::int64_t now_ms, const Rate& rate) {
    level_ = level_at(now_ms, rate);
    at_ms_ = std::max(at_ms_, now_ms);
  }
  static std::int64_t ms_until(std::int64_t wanted, std::int64_t level, const Rate& rate) {
    return level >= wanted ? 0 : (wanted - level - 1) / rate.refill_per_ms + 1;
  }

  std::int64_t level_ = 0;  // units, at at_ms_
  std::int64_t at_ms_ = kNever;
};
static_assert(sizeof(TokenBucket) == 16);

}  // namespace tidewire::guard
