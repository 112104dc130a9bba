// The rate limit of one connection (protocol §6): its bucket, its refusals and its penalties, in 24
// bytes until the first refusal. Owned by the connection's shard.
//
// A refused request takes no token, neither here nor from the shared buckets. During a penalty the
// bucket goes on refilling and nothing else moves, so at its end the connection has what time has
// refilled (its whole burst, with the default numbers), no refusals, and its count of penalties.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>

#include "guard/limits.h"
#include "guard/token_bucket.h"

namespace tidewire::guard {

struct RequestVerdict {
  enum class Kind : std::uint8_t {
    allowed,
    refused,           // answer `rate_limited` with retry_after_ms; the request is not processed
    refused_and_close  // the same, then close 1008 `rate_limited`
  };
  Kind kind = Kind::allowed;
  bool would_refuse = false;        // set in a dry run, where kind is always `allowed`
  std::int64_t retry_after_ms = 0;  // at least 1 where refused

  friend bool operator==(const RequestVerdict&, const RequestVerdict&) = default;
};

// What a limiter asks of the buckets that the connection shares with others.
enum class Spend : std::uint8_t {
  take,  // take a token from every one of them, or from none
  look   // take nothing
};

class RequestLimiter {
 public:
  // Judges one counted request. `shared(Spend)` answers how long the connection's user and address
  // still have to wait, 0 if a token was there (and, for Spend::take, was taken); it is asked at most
  // once, and not at all during a penalty. The longest wait is the answer.
  template <class Shared>
  RequestVerdict check(const Limits& limits, std::int64_t now_ms, LimitFactor factor, Shared&& shared) {
    if (in_penalty(now_ms)) {
      return refusal(limits, RequestVerdict::Kind::refused, record_->penalty_until_ms - now_ms);
    }
    const Rate rate = limits.connection_rate(factor);
    const std::int64_t own_wait_ms = bucket_.retry_after_ms(now_ms, rate);
    const std::int64_t shared_wait_ms = shared(own_wait_ms == 0 ? Spend::take : Spend::look);
    if (own_wait_ms == 0 && shared_wait_ms == 0) {
      bucket_.take(now_ms, rate);
      return {};
    }
    return violation(limits, now_ms, own_wait_ms > shared_wait_ms ? own_wait_ms : shared_wait_ms);
  }

  // The connection's own bucket alone.
  RequestVerdict check(const Limits& limits, std::int64_t now_ms, LimitFactor factor = {}) {
    return check(limits, now_ms, factor, [](Spend) -> std::int64_t { return 0; });
  }

  bool in_penalty(std::int64_t now_ms) const { return record_ && now_ms < record_->penalty_until_ms; }

 private:
  // Far enough back to be in no window, near enough not to overflow.
  static constexpr std::int64_t kLongAgo_ms = std::numeric_limits<std::int64_t>::min() / 4;
  static constexpr std::uint32_t kLongGap_ms = std::numeric_limits<std::uint32_t>::max();

  RequestVerdict violation(const Limits& limits, std::int64_t now_ms, std::int64_t wait_ms);
  static RequestVerdict refusal(const Limits& limits, RequestVerdict::Kind kind,
                                std::int64_t retry_after_ms) {
    if (limits.dry_run) return {.would_refuse = true, .retry_after_ms = retry_after_ms};
    return {.kind = kind, .retry_after_ms = retry_after_ms};
  }

  struct Record {
    std::int64_t penalty_until_ms = kLongAgo_ms;
    // The last two of each suffice to see a third within its window: the last one, and the time from
    // the one before to it.
    std::int64_t last_refusal_ms = kLongAgo_ms;
    std::int64_t last_penalty_ms = kLongAgo_ms;
    std::uint32_t refusal_gap_ms = kLongGap_ms;
    std::uint32_t penalty_gap_ms = kLongGap_ms;
  };

  TokenBucket bucket_;
  std::unique_ptr<Record> record_;  // null: never refused
};
static_assert(sizeof(RequestLimiter) == 24);
static_assert(Limits::kRefusalsToPenalty == 3 && Limits::kPenaltiesToClose == 3);

}  // namespace tidewire::guard
