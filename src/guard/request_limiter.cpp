#include "guard/request_limiter.h"

#include <algorithm>

namespace tidewire::guard {

namespace {
std::uint32_t gap_between(std::int64_t earlier_ms, std::int64_t later_ms) {
  const std::int64_t most = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(later_ms - earlier_ms, 0, most));
}
}  // namespace

RequestVerdict RequestLimiter::violation(const Limits& limits, std::int64_t now_ms, std::int64_t wait_ms) {
  if (limits.penalty_ms <= 0) return refusal(limits, RequestVerdict::Kind::refused, wait_ms);

  if (!record_) record_ = std::make_unique<Record>();
  const bool third_refusal =
      now_ms - record_->last_refusal_ms + record_->refusal_gap_ms <= Limits::kRefusalWindow_ms;
  record_->refusal_gap_ms = gap_between(record_->last_refusal_ms, now_ms);
  record_->last_refusal_ms = now_ms;
  if (!third_refusal) return refusal(limits, RequestVerdict::Kind::refused, wait_ms);

  // The refusals have had their consequence; after the penalty three new ones are needed.
  record_->refusal_gap_ms = kLongGap_ms;
  record_->last_refusal_ms = kLongAgo_ms;
  const bool third_penalty =
      now_ms - record_->last_penalty_ms + record_->penalty_gap_ms <= Limits::kPenaltyWindow_ms;
  record_->penalty_gap_ms = gap_between(record_->last_penalty_ms, now_ms);
  record_->last_penalty_ms = now_ms;
  record_->penalty_until_ms = now_ms + limits.penalty_ms;
  // The wait for a token may be longer still, with a short penalty and a slow rate.
  return refusal(limits,
                 third_penalty ? RequestVerdict::Kind::refused_and_close : RequestVerdict::Kind::refused,
                 std::max(wait_ms, limits.penalty_ms));
}

}  // namespace tidewire::guard
