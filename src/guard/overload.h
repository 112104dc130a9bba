// Shedding load before collapse (requirement P7): what is given up, in an announced order, as the
// server falls behind, and taken back as it recovers.
//
//   calm → no_new_connections → defer_low_priority → shed_publishes, and back, one step at a time
//
// Pressure is the worse of two: how long a turn of a loop takes against `max_lag_ms`, and memory in use
// against `max_memory`. It must stay at 1 for a while to go up a step, and below its relief for longer to
// come down one; a step that is soon taken again doubles that time, up to a bound, so it does not
// flap. On the last step a share of the publishes passes: it falls fast under pressure and grows slowly
// without. Invariant: never stuck, whatever came before: without pressure it is calm within a bounded
// time. Pure, takes now; owned by one thread (SharedOverload spreads what it says).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tidewire::guard {

enum class Shedding : std::uint8_t { calm, no_new_connections, defer_low_priority, shed_publishes };
inline constexpr std::size_t kSheddingSteps = 4;
std::string_view name_of(Shedding step);

struct OverloadLimits {
  std::int64_t max_lag_ms = 250;  // overload.max_lag; 0: not looked at
  std::int64_t max_memory = 0;    // overload.max_memory, bytes; 0: not looked at
};

struct OverloadSample {
  std::int64_t lag_us = 0;  // the longest turn since the last sample
  std::int64_t memory = 0;  // bytes
};

class Overload {
 public:
  static constexpr std::int64_t kRise_ms = 300;
  static constexpr std::int64_t kFall_ms = 2'000;
  static constexpr std::int64_t kMostFall_ms = 30'000;
  // Of max_lag. Of max_memory it is nearer: a server may well hold four fifths of it in peace.
  static constexpr double kRelief = 0.6;
  static constexpr double kMemoryRelief = 0.9;
  static constexpr double kLeastShare = 0.02;

  struct Change {
    Shedding from = Shedding::calm;
    Shedding to = Shedding::calm;
    friend bool operator==(const Change&, const Change&) = default;
  };
  // About every 100 ms; samples that lie further apart count the same.
  std::optional<Change> update(const OverloadLimits& limits, const OverloadSample& sample,
                               std::int64_t now_ms);

  Shedding step() const { return step_; }
  // Of the publishes that may pass, 0 to 1; 1 on all steps but the last.
  double publish_share() const { return step_ == Shedding::shed_publishes ? share_ : 1; }
  double pressure() const { return pressure_; }

 private:
  std::optional<Change> go(int steps, std::int64_t now_ms);

  Shedding step_ = Shedding::calm;
  double share_ = 1;
  double pressure_ = 0;
  std::int64_t high_since_ms_ = -1;  // -1: it is not
  std::int64_t low_since_ms_ = -1;
  std::int64_t last_fall_ms_ = -1;  // -1: none yet
  std::int64_t fall_after_ms_ = kFall_ms;
  std::int64_t last_ms_ = -1;
};

}  // namespace tidewire::guard
