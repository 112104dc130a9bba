// What is usual: for a user, by its own past, and for everybody; and the judgement of a window by both.
//
// `robust`: for each measure a location and a scale that a single window can move by little, so that an
// attack does not teach them; what lies above both the user's and the population's, by scales, is summed
// up over windows (CUSUM) and reported past a threshold. One odd window is no anomaly unless it is far
// off. `two_sigma`: mean and variance that forget. A user of whom little is known is taken for an average
// one, and an average is supposed until there is one.
//
// A beat alone says nothing bad: sensors, game clients and whatever else has a timer keep one. So it is
// measured against the user's own past only: who kept a beat from the beginning is a program, judged as
// programs are in everything else, and who wrote as people do and then keeps one is `bot_timing`. That one
// kind is told and never acted on, unless another kind was found too. Pure; plain values owned by whoever
// holds them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "guard/anomaly.h"

namespace tidewire::guard {

// Everybody's usual, apart for people and programs. Owned by one shard.
class Population {
 public:
  struct Usual {
    float middle = 0;  // the median
    float high = 0;    // the 84th percentile, which is where middle + sigma would be
    float mean = 0;
    float variance = 0;
    std::uint32_t windows = 0;

    // So many are supposed at the beginning; what is known rests on more.
    static constexpr std::uint32_t kSupposed = 20;
    bool known() const { return windows >= 2 * kSupposed; }
  };

  Population();
  void learn(const Activity& activity, bool by_machine);
  const Usual& of(AnomalyKind kind, bool by_machine) const {
    return usual_[by_machine ? 1 : 0][static_cast<std::size_t>(kind)];
  }

 private:
  std::array<std::array<Usual, kAnomalyKinds>, 2> usual_;
};

// All users of a shard together, whose usual is their own past: a storm of reconnects, an outage's errors.
// Owned by one shard.
class PopulationWatch {
 public:
  // A user's window. Answers when it ends one of the population's that is to be reported: `burst` or
  // `error_flood`, with everybody's past as the usual.
  std::optional<AnomalyFinding> add(const Activity& activity, std::int64_t now_ms);

 private:
  struct Level {
    float location = 0;
    float scale = 0;
    float sum = 0;
    std::uint64_t count = 0;  // in this window
  };
  std::optional<AnomalyFinding> close(AnomalyKind kind, Level& level);

  Level requests_, errors_;
  std::int64_t begin_ms_ = -1;
  std::int64_t quiet_until_ms_ = 0;
  std::uint32_t windows_ = 0;
};

// One user's. 64 bytes.
class UserHabits {
 public:
  // An anomaly of one kind is not reported again for so long, unless it goes on after the hold that followed.
  static constexpr std::int64_t kQuiet_ms = 300'000;
  static constexpr std::int64_t kForget_ms = 24 * 3'600'000;

  // The most unusual thing about this window, if it is to be reported. Learns it, and so does `everybody`.
  // `holds`: a hold follows what is found.
  std::optional<AnomalyFinding> judge(const Activity& activity, AnomalyMethod method, Population& everybody,
                                      std::int64_t now_ms, bool holds = false);

  // Another kind than `bot_timing` was reported lately.
  bool is_unusual_otherwise() const {
    return (reported_ & ~(1u << static_cast<unsigned>(AnomalyKind::bot_timing))) != 0;
  }

  // Until when what follows an anomaly is in force; 0: never was. Kept to 4 ms, never later than it was set.
  std::int64_t held_until_ms() const {
    return std::int64_t{held_until_s_} * 1000 + std::int64_t{held_until_4ms_} * 4;
  }
  void hold(std::int64_t until_ms) {
    held_until_s_ = static_cast<std::uint32_t>(until_ms / 1000);
    held_until_4ms_ = static_cast<std::uint8_t>(until_ms % 1000 / 4);
  }

  std::int64_t idle_at_ms() const { return std::int64_t{seen_s_} * 1000 + kForget_ms; }

 private:
  struct Habit {
    float location = 0;
    float scale = 0;  // two_sigma: the variance
  };

  // Keeps a beat, and has since it was first measured.
  bool is_steady(const Activity& activity) const;
  float robust_score(AnomalyKind kind, float measure, const Population::Usual& everybody);
  float beat_score(float beat);
  float sum_up(AnomalyKind kind, float unusual);
  float sigma_score(AnomalyKind kind, float measure, const Population::Usual& everybody);

  std::array<Habit, kAnomalyKinds> habits_;
  std::array<std::uint8_t, kAnomalyKinds> sums_{};     // of CUSUM, in kSumSteps
  std::array<std::uint8_t, kAnomalyKinds> windows_{};  // seen, up to 255
  std::uint8_t reported_ = 0;                          // kinds that are quiet
  std::uint8_t held_until_4ms_ = 0;                    // of the second below
  std::uint32_t reported_s_ = 0;
  std::uint32_t seen_s_ = 0;
  std::uint32_t held_until_s_ = 0;
};
static_assert(sizeof(UserHabits) <= 64);

}  // namespace tidewire::guard
