// Unusual behaviour: what is measured of a connection, and what is found in it (requirement P3).
//
// Time is cut into windows of ten seconds of activity. A connection's meter adds a window up; what is
// unusual in it, compared with the user's own past and with the population, is a finding with its
// evidence. Values; `now` is an argument.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tidewire::guard {

enum class AnomalyKind : std::uint8_t {
  burst,         // many requests
  error_flood,   // many requests that were refused or malformed
  channel_scan,  // many different channels that were refused
  size,          // many bytes
  bot_timing     // messages of a conversation at the beat of a machine
};
inline constexpr std::size_t kAnomalyKinds = 5;
std::string_view name_of(AnomalyKind kind);

enum class AnomalyMethod : std::uint8_t {
  robust,    // clipped location and scale, both past and population, summed up over windows (CUSUM)
  two_sigma  // above mean + 2 sigma of the user's past, or of the population while that is short
};

// What one window of a connection holds.
struct Activity {
  static constexpr float kNoBeat = -1;

  std::uint32_t requests = 0;
  std::uint32_t errors = 0;
  std::uint32_t refused_channels = 0;  // different ones, estimated
  std::uint32_t bytes = 0;
  float beat = kNoBeat;     // how regular a conversation's messages came: 0 (any time) to 4 (a clock)
  bool by_machine = false;  // most requests went to channels in which programs write

  // The measure of each kind: logarithms, base 2, but for the beat.
  std::array<float, kAnomalyKinds> measures() const;
};

struct AnomalyFinding {
  static constexpr float kUnknown = -1;

  AnomalyKind kind = AnomalyKind::burst;
  float value = 0;       // in the window: requests, errors, channels, bytes; the beat as it is
  float usual = 0;       // the same for the user before, or unknown
  float population = 0;  // and for everybody, or unknown
  float score = 0;       // how unusual: in scales above both, summed up (CUSUM), or in sigmas

  // A sentence with the numbers.
  std::string evidence() const;
};

// Adds up one connection's window. 24 bytes, and 32 more for one that talks or is refused channels; owned by
// the connection's shard. A request costs a few instructions and a message in a conversation a logarithm.
class ActivityMeter {
 public:
  static constexpr std::int64_t kWindow_ms = 10'000;
  static constexpr std::uint8_t kIntervals = 24;  // in one beat

  enum class Writer : std::uint8_t {
    person,  // a message where people talk: streams and sessions
    program  // where programs write: documents, uploads, agents
  };

  // Before a request: a window has ended, which take() gives and ends.
  bool due(std::int64_t now_ms) const {
    return requests_ > 0 && static_cast<std::uint32_t>(now_ms) - begin_ms_ >= kWindow_ms;
  }
  bool empty() const { return requests_ == 0; }
  Activity take();

  // A request of so many bytes, or what was none.
  void request(std::size_t bytes, std::int64_t now_ms);
  // It is a message, and who writes such.
  void message(Writer writer, std::int64_t now_ms);
  // The request was refused by what follows an anomaly, so it was none.
  void take_back(std::size_t bytes);
  // It was refused.
  void error();
  // Refused for its channel: `channel_hash` tells channels apart.
  void refused_channel(std::uint64_t channel_hash) {
    more().channels |= std::uint64_t{1} << (channel_hash >> 58);
  }

 private:
  // What most connections have no use for: they listen.
  struct Details {
    std::uint64_t channels = 0;   // linear counting
    std::uint64_t intervals = 0;  // 16 counts of 4 bits, by the interval's quarter of an octave
    std::uint32_t last_message_ms = 0;
    std::uint8_t intervals_seen = 0;
    float beat() const;
  };
  Details& more() {
    if (!details_) details_ = std::make_unique<Details>();
    return *details_;
  }
  void note_interval(std::int64_t now_ms);

  std::unique_ptr<Details> details_;
  std::uint32_t begin_ms_ = 0;  // the low half: differences of days fit
  std::uint32_t bytes_ = 0;
  std::uint16_t requests_ = 0;
  std::uint16_t errors_ = 0;
  std::uint16_t by_programs_ = 0;
};
static_assert(sizeof(ActivityMeter) <= 24);

}  // namespace tidewire::guard
