#include "auth/jwks_refresher.h"

#include "auth/jwk.h"
#include "base/check.h"

namespace tidewire::auth {

JwksRefresher::JwksRefresher(JwksRefresherOptions options, std::shared_ptr<const KeyRing> ring)
    : options_(options), ring_(std::move(ring)) {
  TIDEWIRE_CHECK(ring_ && ring_->jwks_state() == JwksState::never_fetched);
}

JwksRefresher::Demand JwksRefresher::need_keys(Time now) {
  if (under_way_ || due(now)) return Demand::wait;
  if (now.mono_us - last_started_us_ < options_.min_refresh_ms * 1000) return Demand::give_up;
  next_us_ = now.mono_us;
  return Demand::wait;
}

std::int64_t JwksRefresher::due_at_us() const { return under_way_ ? INT64_MAX : next_us_; }

void JwksRefresher::started(Time now) {
  TIDEWIRE_CHECK(!under_way_);
  under_way_ = true;
  last_started_us_ = now.mono_us;
}

JwksRefresher::Update JwksRefresher::fetched(std::string_view body, Time now) {
  std::expected<JwkSet, std::string> set = parse_jwks(body);
  if (!set) {
    failed(now);
    return {.read = false, .changed = false, .remarks = {set.error()}};
  }
  TIDEWIRE_CHECK(under_way_);
  under_way_ = false;
  failures_ = 0;
  next_us_ = now.mono_us + options_.refresh_ms * 1000;
  const bool first = ring_->jwks_state() == JwksState::never_fetched;
  std::shared_ptr<const KeyRing> ring = ring_->with_jwks(std::move(set->keys));
  const bool changed = first || ring->fingerprint() != ring_->fingerprint();
  if (changed) ring_ = std::move(ring);
  return {.read = true, .changed = changed, .remarks = std::move(set->skipped)};
}

void JwksRefresher::failed(Time now) {
  TIDEWIRE_CHECK(under_way_);
  under_way_ = false;
  ++failures_;
  std::int64_t backoff_ms = options_.min_refresh_ms;
  for (std::uint32_t i = 1; i < failures_ && backoff_ms < options_.max_backoff_ms; ++i) backoff_ms *= 2;
  backoff_ms = std::min(backoff_ms, options_.max_backoff_ms);
  next_us_ = now.mono_us + backoff_ms * 1000;
}

std::int64_t JwksRefresher::retry_after_ms(Time now) const {
  if (under_way_ || due(now)) return 1000;  // about the time that a fetch takes
  return (next_us_ - now.mono_us + 999) / 1000;
}

}  // namespace tidewire::auth
