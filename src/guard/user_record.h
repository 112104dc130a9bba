// What is remembered of how a user behaved (requirement P2), in eight bytes: one number from -1 (bad)
// to 1 (good), and when it was true.
//
// A minute in which counted requests passed and nothing went wrong moves it towards 1; what goes wrong
// moves it towards -1, more for what is worse; time alone moves it towards 0, half of the way an hour.
// Invariant: it stays within -1..1, so the limit in force stays within 0.5..1.2 of its base. Pure; a
// plain value, owned by whoever holds it.
#pragma once

#include <cstdint>

#include "guard/token_bucket.h"

namespace tidewire::guard {

enum class Offence : std::uint8_t {
  malformed,       // a message that could not be understood
  refused,         // a request past the rate limit
  penalty,         // the third of these, which started a penalty
  failed_attempt,  // a token that was refused on a live connection
  anomaly          // what the anomaly detection says of the user, where it may limit
};

class UserRecord {
 public:
  static constexpr std::int64_t kHalfLife_ms = 3'600'000;
  // Clean activity: two looks that are at most this far apart count as active in between.
  static constexpr std::int64_t kActiveGap_ms = 60'000;
  static constexpr std::int64_t kLearning_ms = 600'000;  // of it brings 63 % of what is missing to 1

  // The user was active since the last look and nothing went wrong.
  void good(std::int64_t now_ms);
  void bad(Offence offence, std::int64_t now_ms);

  // -1 to 1. Time that runs backwards counts as no time.
  float standing(std::int64_t now_ms) const;
  // 0.5 to 1.2: the base where nothing is known, linear to both ends.
  LimitFactor factor(std::int64_t now_ms) const;

  // From when on the record says nothing any more (under 2 % of the way to an end).
  std::int64_t idle_at_ms() const;

 private:
  static constexpr float kNothing = 0.02f;

  std::uint32_t at_ticks_ = 0;  // of kTick_ms, when standing_ was true
  float standing_ = 0;
  static constexpr std::int64_t kTick_ms = 16;  // two years fit

  std::int64_t at_ms() const { return std::int64_t{at_ticks_} * kTick_ms; }
  void set(float standing, std::int64_t now_ms);
};
static_assert(sizeof(UserRecord) == 8);

}  // namespace tidewire::guard
