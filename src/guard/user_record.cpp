#include "guard/user_record.h"

#include <algorithm>
#include <cmath>

namespace tidewire::guard {

namespace {
constexpr std::int64_t kLeastGap_ms = 500;

// What part of the way to -1 an offence takes a user. Three refusals and their penalty halve a neutral
// one; a single malformed message is hardly felt.
constexpr float weight_of(Offence offence) {
  switch (offence) {
    case Offence::malformed:
      return 0.03f;
    case Offence::refused:
      return 0.08f;
    case Offence::penalty:
      return 0.3f;
    case Offence::failed_attempt:
      return 0.1f;
    case Offence::anomaly:
      break;
  }
  return 0.5f;
}
}  // namespace

void UserRecord::set(float standing, std::int64_t now_ms) {
  standing_ = std::clamp(standing, -1.0f, 1.0f);
  const std::int64_t ticks = std::max<std::int64_t>(now_ms, 0) / kTick_ms;
  at_ticks_ = std::max(at_ticks_, static_cast<std::uint32_t>(std::min<std::int64_t>(ticks, 0xFFFF'FFFF)));
}

float UserRecord::standing(std::int64_t now_ms) const {
  const std::int64_t elapsed_ms = now_ms - at_ms();
  if (elapsed_ms <= 0 || standing_ == 0) return standing_;
  return standing_ * std::exp2(-static_cast<float>(elapsed_ms) / static_cast<float>(kHalfLife_ms));
}

void UserRecord::good(std::int64_t now_ms) {
  const std::int64_t elapsed_ms = now_ms - at_ms();
  if (elapsed_ms < kLeastGap_ms) return;  // the ticks are too coarse for less
  const bool active = at_ticks_ != 0 && elapsed_ms <= kActiveGap_ms;
  if (!active) return set(standing(now_ms), now_ms);
  const float learnt = 1 - std::exp(-static_cast<float>(elapsed_ms) / static_cast<float>(kLearning_ms));
  set(standing_ + (1 - standing_) * learnt, now_ms);
}

void UserRecord::bad(Offence offence, std::int64_t now_ms) {
  const float before = standing(now_ms);
  set(before - (1 + before) * weight_of(offence), now_ms);
}

LimitFactor UserRecord::factor(std::int64_t now_ms) const {
  const float now = standing(now_ms);
  return LimitFactor::of(1.0 + static_cast<double>(now) * (now > 0 ? 0.2 : 0.5));
}

std::int64_t UserRecord::idle_at_ms() const {
  // One that is neutral but active must live until its next look, or it would never learn.
  const float size = std::max(std::abs(standing_) / kNothing, 1.0f);
  const float half_lives = std::log2(size);
  return at_ms() + kActiveGap_ms + static_cast<std::int64_t>(half_lives * static_cast<float>(kHalfLife_ms));
}

}  // namespace tidewire::guard
