#include "guard/anomaly_habits.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tidewire::guard {

namespace {

constexpr std::size_t index_of(AnomalyKind kind) { return static_cast<std::size_t>(kind); }

// What is too little to be told, however unusual, in each kind's measure: 30 requests, 8 failed ones,
// 3 refused channels, 512 KiB in a window; less than one and a half bits of entropy.
constexpr std::array<float, kAnomalyKinds> kLeast{4.95f, 3.17f, 2.0f, 9.0f, 2.5f};
// Where programs write, 400 requests and 2 MiB.
constexpr std::array<float, kAnomalyKinds> kLeastOfPrograms{8.65f, 3.17f, 2.0f, 11.0f, 5.0f};

// What is supposed to be everybody's usual as long as nobody is known: 20 requests and 32 KiB in a window.
constexpr std::array<float, kAnomalyKinds> kSupposedMiddle{4.39f, 0, 0, 5.04f, 1.0f};

// Twice as much is nothing yet for somebody whose windows are all alike.
constexpr float kLeastScale = 0.75f;
// Somebody of whom little is known counts as average with the weight of so many windows.
constexpr float kAverageWeight = 12;
constexpr float kAllowance = 1;      // scales above the usual that are free
constexpr float kMostPerWindow = 4;  // that one window counts
constexpr float kFarOff = 8;         // from here on a window counts as two
constexpr float kThreshold = 6;
constexpr float kExcused = 3;  // scales above everybody's that the user's own past can excuse
constexpr float kLearning = 0.02f;
constexpr float kSumSteps = 16;

// Of the population: windows until its past counts, and what is too little to be told.
constexpr std::uint32_t kPopulationLearnt = 30;
constexpr float kPopulationRequests = 500;
constexpr float kPopulationErrors = 100;

constexpr float kForgetting = 0.05f;
constexpr std::uint8_t kLearnt = 10;  // windows until the user's own past counts (two_sigma)

float plain(AnomalyKind kind, float measure) {
  if (kind == AnomalyKind::bot_timing) return std::max(measure, 0.0f);
  const float count = std::exp2(measure) - 1;
  return kind == AnomalyKind::size ? count * 1024 : count;
}

}  // namespace

Population::Population() {
  for (auto& of_kinds : usual_)
    for (std::size_t i = 0; i < kAnomalyKinds; ++i)
      of_kinds[i] = {.middle = kSupposedMiddle[i],
                     .high = kSupposedMiddle[i] + kLeastScale,
                     .mean = kSupposedMiddle[i],
                     .variance = kLeastScale * kLeastScale,
                     .windows = Usual::kSupposed};
}

void Population::learn(const Activity& activity, bool by_machine) {
  const auto measures = activity.measures();
  for (std::size_t i = 0; i < kAnomalyKinds; ++i) {
    const float x = measures[i];
    if (x < 0) continue;
    Usual& usual = usual_[by_machine ? 1 : 0][i];
    ++usual.windows;
    // A quantile by steps up and down in the proportion in which samples should lie on its two sides.
    const float step = std::max(0.01f, 2.0f / static_cast<float>(std::min(usual.windows, 100'000u)));
    usual.middle += x > usual.middle ? step : -step;
    usual.high = std::max(usual.middle, usual.high + (x > usual.high ? 0.84f : -0.16f) * 2 * step);
    usual.middle = std::max(usual.middle, 0.0f);
    const float weight = std::max(0.001f, 1.0f / static_cast<float>(std::min(usual.windows, 100'000u)));
    const float delta = x - usual.mean;
    usual.mean += weight * delta;
    usual.variance = (1 - weight) * (usual.variance + weight * delta * delta);
  }
}

std::optional<AnomalyFinding> PopulationWatch::add(const Activity& activity, std::int64_t now_ms) {
  std::optional<AnomalyFinding> found;
  if (begin_ms_ < 0) begin_ms_ = now_ms;
  if (now_ms - begin_ms_ >= ActivityMeter::kWindow_ms) {
    // Idle time in between teaches nothing.
    begin_ms_ = now_ms;
    ++windows_;
    found = close(AnomalyKind::burst, requests_);
    if (auto failed = close(AnomalyKind::error_flood, errors_); failed) found = failed;
    if (found && now_ms < quiet_until_ms_) found.reset();
    if (found) quiet_until_ms_ = now_ms + UserHabits::kQuiet_ms;
  }
  requests_.count += activity.requests;
  errors_.count += activity.errors;
  return found;
}

std::optional<AnomalyFinding> PopulationWatch::close(AnomalyKind kind, Level& level) {
  const auto count = static_cast<float>(std::exchange(level.count, 0));
  const float measure = std::log2(1 + count);
  const float before = level.location;
  const float scale = std::max(kLeastScale, level.scale);
  const float unusual = (measure - before) / scale;
  const bool learnt = windows_ > kPopulationLearnt;
  const float weight = std::max(kLearning, 1 / static_cast<float>(windows_));
  const float off = learnt ? std::clamp(measure - before, -2 * scale, 2 * scale) : measure - before;
  level.location += weight * off;
  level.scale += weight * (1.25f * std::abs(off) - level.scale);
  if (!learnt) return std::nullopt;
  level.sum = std::max(0.0f, level.sum + std::min(unusual, kMostPerWindow) - kAllowance);
  const float least = kind == AnomalyKind::burst ? kPopulationRequests : kPopulationErrors;
  if (level.sum < kThreshold || count < least) return std::nullopt;
  const float usual = plain(kind, before);
  return AnomalyFinding{.kind = kind,
                        .value = count,
                        .usual = usual,
                        .population = usual,
                        .score = std::exchange(level.sum, 0.0f)};
}

float UserHabits::robust_score(AnomalyKind kind, float measure, const Population::Usual& everybody) {
  const std::size_t i = index_of(kind);
  Habit& habit = habits_[i];
  const float population_scale = std::max(kLeastScale, everybody.high - everybody.middle);
  if (windows_[i] == 0) habit = {everybody.middle, population_scale};
  const float known = static_cast<float>(windows_[i]) / (static_cast<float>(windows_[i]) + kAverageWeight);
  const float location = known * habit.location + (1 - known) * everybody.middle;
  const float scale = std::max(kLeastScale, known * habit.scale + (1 - known) * population_scale);
  const float by_past = (measure - location) / scale;
  const float by_population = (measure - everybody.middle) / population_scale;
  const float unusual = std::max(std::min(by_past, by_population), by_population - kExcused);

  // What is unusual is learnt once it has been told, else it would soon be usual; and a window moves what
  // is usual by a part of two scales at most.
  if (unusual < kAllowance || (reported_ >> i & 1u) != 0) {
    if (windows_[i] < 255) ++windows_[i];
    const float weight = std::max(kLearning, 1.0f / (static_cast<float>(windows_[i]) + 1));
    const float off = std::clamp(measure - habit.location, -2 * scale, 2 * scale);
    habit.location += weight * off;
    habit.scale += weight * (1.25f * std::abs(off) - habit.scale);
  }
  return sum_up(kind, unusual);
}

bool UserHabits::is_steady(const Activity& activity) const {
  constexpr std::size_t kBeat = index_of(AnomalyKind::bot_timing);
  return (windows_[kBeat] == 0 ? activity.beat : habits_[kBeat].location) >= kLeast[kBeat];
}

float UserHabits::beat_score(float beat) {
  constexpr auto kKind = AnomalyKind::bot_timing;
  Habit& habit = habits_[index_of(kKind)];
  std::uint8_t& beats = windows_[index_of(kKind)];
  if (beats == 0) habit.location = beat;
  const float unusual = (beat - habit.location) / kLeastScale;
  if (unusual < kAllowance || (reported_ >> index_of(kKind) & 1u) != 0) {
    if (beats < 255) ++beats;
    habit.location += std::max(kLearning, 1.0f / static_cast<float>(beats)) * (beat - habit.location);
  }
  return sum_up(kKind, unusual);
}

float UserHabits::sum_up(AnomalyKind kind, float unusual) {
  const std::size_t i = index_of(kind);
  float rise = std::min(unusual, kMostPerWindow) - kAllowance;
  // A beat is of many messages already.
  if (unusual >= kFarOff || kind == AnomalyKind::bot_timing) rise *= 2;
  const float sum = std::clamp(static_cast<float>(sums_[i]) / kSumSteps + rise, 0.0f, 255 / kSumSteps);
  sums_[i] = static_cast<std::uint8_t>(std::lround(sum * kSumSteps));
  return sum;
}

float UserHabits::sigma_score(AnomalyKind kind, float measure, const Population::Usual& everybody) {
  const std::size_t i = index_of(kind);
  Habit& habit = habits_[i];
  const bool own = windows_[i] >= kLearnt;
  const float mean = own ? habit.location : everybody.mean;
  const float sigma = std::max(0.1f, std::sqrt(own ? habit.scale : everybody.variance));
  if (windows_[i] < 255) ++windows_[i];
  const float weight = std::max(kForgetting, 1.0f / static_cast<float>(windows_[i]));
  const float delta = measure - habit.location;
  habit.location += weight * delta;
  habit.scale = (1 - weight) * (habit.scale + weight * delta * delta);
  return (measure - mean) / sigma;
}

std::optional<AnomalyFinding> UserHabits::judge(const Activity& activity, AnomalyMethod method,
                                                Population& everybody, std::int64_t now_ms, bool holds) {
  const auto now_s = static_cast<std::uint32_t>(std::max<std::int64_t>(now_ms, 0) / 1000);
  seen_s_ = now_s;
  if (now_s - reported_s_ >= kQuiet_ms / 1000) reported_ = 0;
  const bool hold_ended = holds && now_ms >= held_until_ms();
  const auto measures = activity.measures();
  const bool robust = method == AnomalyMethod::robust;
  const bool steady = robust && is_steady(activity);
  const bool by_machine = activity.by_machine || steady;
  const auto& least = by_machine ? kLeastOfPrograms : kLeast;
  std::optional<AnomalyFinding> found;
  for (std::size_t i = 0; i < kAnomalyKinds; ++i) {
    const float measure = measures[i];
    if (measure < 0) continue;
    const auto kind = static_cast<AnomalyKind>(i);
    const Population::Usual& usual = everybody.of(kind, by_machine);
    const float before = habits_[i].location;
    const bool known = windows_[i] > 0, population_known = usual.known();
    const float score = !robust                           ? sigma_score(kind, measure, usual)
                        : kind == AnomalyKind::bot_timing ? beat_score(measure)
                                                          : robust_score(kind, measure, usual);
    const bool unusual = robust ? score >= kThreshold && measure >= least[i] : score > 2;
    const bool goes_on = hold_ended && kind != AnomalyKind::bot_timing;
    if (!unusual || ((reported_ >> i & 1u) != 0 && !goes_on)) continue;
    // Of two that are as unusual the later kind says more.
    if (found && found->score > score) continue;
    found =
        AnomalyFinding{.kind = kind,
                       .value = plain(kind, measure),
                       .usual = known ? plain(kind, before) : AnomalyFinding::kUnknown,
                       .population = population_known ? plain(kind, usual.middle) : AnomalyFinding::kUnknown,
                       .score = score};
  }
  // Abusers do not teach what is usual.
  if (method == AnomalyMethod::two_sigma || (!found && reported_ == 0)) everybody.learn(activity, by_machine);
  if (!found) return found;
  reported_ = static_cast<std::uint8_t>(reported_ | 1u << index_of(found->kind));
  reported_s_ = now_s;
  sums_[index_of(found->kind)] = 0;
  return found;
}

}  // namespace tidewire::guard
