#include "guard/anomaly.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace tidewire::guard {

std::string_view name_of(AnomalyKind kind) {
  static constexpr std::array<std::string_view, kAnomalyKinds> kNames{"burst", "error_flood", "channel_scan",
                                                                      "size", "bot_timing"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::array<float, kAnomalyKinds> Activity::measures() const {
  const auto octaves = [](std::uint32_t count) { return std::log2(1.0f + static_cast<float>(count)); };
  return {octaves(requests), octaves(errors), octaves(refused_channels), octaves(bytes / 1024), beat};
}

std::string AnomalyFinding::evidence() const {
  static constexpr std::array<std::string_view, kAnomalyKinds> kWhat{
      "requests", "failed requests", "refused channels (about)", "bytes", "of 4 in regularity"};
  const std::string_view what = kWhat[static_cast<std::size_t>(kind)];
  const int digits = kind == AnomalyKind::bot_timing ? 1 : 0;
  const auto number = [&](float of) {
    return of == kUnknown ? std::string("not known yet") : fmt::format("{:.{}f}", of, digits);
  };
  const std::string window =
      kind == AnomalyKind::bot_timing ? "" : fmt::format(" in {} s", ActivityMeter::kWindow_ms / 1000);
  return fmt::format("{} {}{}; this user's usual {}, everybody's {}", number(value), what, window,
                     number(usual), number(population));
}

Activity ActivityMeter::take() {
  Activity out{.requests = requests_, .errors = errors_, .refused_channels = 0, .bytes = bytes_};
  out.by_machine = by_programs_ * 2 > requests_;
  if (details_) {
    if (const int used = std::popcount(std::exchange(details_->channels, 0)); used > 0) {
      const double free = std::max(0.5, 64.0 - used);
      out.refused_channels = static_cast<std::uint32_t>(std::lround(-64.0 * std::log(free / 64.0)));
    }
    if (details_->intervals_seen >= kIntervals) {
      out.beat = details_->beat();
      details_->intervals = 0;
      details_->intervals_seen = 0;
    }
  }
  bytes_ = 0;
  requests_ = errors_ = by_programs_ = 0;
  return out;
}

void ActivityMeter::request(std::size_t bytes, std::int64_t now_ms) {
  if (requests_ == 0) begin_ms_ = static_cast<std::uint32_t>(now_ms);
  requests_ = static_cast<std::uint16_t>(std::min(requests_ + 1, 0xFFFF));
  bytes_ = static_cast<std::uint32_t>(std::min<std::size_t>(bytes_ + bytes, 0xFFFF'FFFF));
}

void ActivityMeter::message(Writer writer, std::int64_t now_ms) {
  if (writer == Writer::program)
    by_programs_ = static_cast<std::uint16_t>(std::min(by_programs_ + 1, 0xFFFF));
  else
    note_interval(now_ms);
}

void ActivityMeter::take_back(std::size_t bytes) {
  if (requests_ > 0) --requests_;
  bytes_ -= static_cast<std::uint32_t>(std::min<std::size_t>(bytes, bytes_));
}

void ActivityMeter::error() { errors_ = static_cast<std::uint16_t>(std::min(errors_ + 1, 0xFFFF)); }

void ActivityMeter::note_interval(std::int64_t now_ms) {
  const auto now = static_cast<std::uint32_t>(now_ms);
  Details& details = more();
  const std::uint32_t interval_ms = now - details.last_message_ms;
  const bool first = details.last_message_ms == 0;
  details.last_message_ms = now == 0 ? 1 : now;
  // What comes within 50 ms is one sending, and after a pause of minutes another conversation begins.
  if (first || interval_ms < 50 || interval_ms > 600'000) return;
  // Quarters of an octave, and the middle of each at the round numbers that timers have.
  const auto bin = static_cast<unsigned>(std::lround(4 * std::log2(static_cast<float>(interval_ms)))) % 16;
  if ((details.intervals >> 4 * bin & 15) < 15) details.intervals += std::uint64_t{1} << 4 * bin;
  if (details.intervals_seen < 255) ++details.intervals_seen;
}

// 4 less the entropy of the intervals.
float ActivityMeter::Details::beat() const {
  static_assert(sizeof(Details) <= 32);
  float sum = 0, entropy = 0;
  for (unsigned bin = 0; bin < 16; ++bin) sum += static_cast<float>(intervals >> 4 * bin & 15);
  for (unsigned bin = 0; bin < 16; ++bin) {
    const float share = static_cast<float>(intervals >> 4 * bin & 15) / sum;
    if (share > 0) entropy -= share * std::log2(share);
  }
  return 4 - entropy;
}

}  // namespace tidewire::guard
