// What all shards share of the anomaly detection: every user's habits, and the latest reports.
//
// A user's connections lie on several shards, so habits are in a striped table with short locks, taken
// once a connection and window (ten seconds of activity), never per message. Any thread may call.
// Memory: habits that nobody has added to for a day go; past `max_users` the oldest go. A slot has 80
// bytes, so a million users take 160 MiB at the very most, and reports at most kReports entries.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "guard/anomaly_habits.h"
#include "guard/call_watch.h"
#include "guard/limit_key.h"

namespace tidewire::guard {

// What follows an anomaly.
enum class AnomalyAction : std::uint8_t {
  off,     // nothing is looked for
  report,  // a line in the log, a count, an entry of the latest reports
  slow,    // and half of the rate, for `hold_ms`
  refuse   // and counted requests are refused, for `hold_ms`
};
std::string_view name_of(AnomalyAction action);

struct AnomalyPolicy {
  AnomalyAction action = AnomalyAction::report;
  AnomalyMethod method = AnomalyMethod::robust;
  std::int64_t hold_ms = 60'000;

  bool holds() const { return action == AnomalyAction::slow || action == AnomalyAction::refuse; }
};

struct AnomalyReport {
  std::int64_t unix_ms = 0;
  std::uint16_t tenant = 0;
  AnomalyKind kind = AnomalyKind::burst;
  bool population = false;  // of everybody on one shard, not of a user
  std::string user = {};    // its id; empty: anonymous, or everybody
  std::string address = {};
  double score = 0;
  std::string evidence = {};  // a sentence with the numbers
  AnomalyAction action = AnomalyAction::report;
};

class Anomalies {
 public:
  static constexpr std::size_t kMaxUsers = std::size_t{1} << 20;
  static constexpr std::size_t kReports = 256;

  explicit Anomalies(std::size_t max_users = kMaxUsers);
  ~Anomalies();
  Anomalies(const Anomalies&) = delete;
  Anomalies& operator=(const Anomalies&) = delete;

  struct Verdict {
    std::optional<AnomalyFinding> finding = {};
    std::int64_t held_until_ms = 0;                // also by what another connection of the user did; mono
    AnomalyAction action = AnomalyAction::report;  // what follows the finding
  };
  // Judges a window of one of the key's connections. `everybody` is the calling shard's. Where the policy
  // holds, a finding holds the user, unless it is held, or its beat is all that is unusual. An empty key is
  // judged as somebody new each time.
  Verdict judge(const LimitKey& user, const Activity& activity, const AnomalyPolicy& policy,
                Population& everybody, std::int64_t now_ms);
  // Until when the user is held, mono; 0: not.
  std::int64_t held_until_ms(const LimitKey& user);

  void report(AnomalyReport report);
  // The latest ones, newest first.
  std::vector<AnomalyReport> latest(std::size_t most = kReports) const;
  // Those since the last call, oldest first, for the log; at most kReports are kept for it.
  std::vector<AnomalyReport> take_new();
  std::uint64_t count(AnomalyKind kind) const {
    return counts_[static_cast<std::size_t>(kind)].load(std::memory_order_relaxed);
  }

  // What has no connection to be measured.
  CallWatch& calls() { return calls_; }

  std::size_t users();
  // As SharedLimits::sweep().
  void sweep(std::int64_t now_ms);

 private:
  class Stripes;
  std::unique_ptr<Stripes> stripes_;
  CallWatch calls_;
  std::array<std::atomic<std::uint64_t>, kAnomalyKinds> counts_{};
  mutable std::mutex mutex_;
  std::deque<AnomalyReport> reports_;  // newest last
  std::size_t new_ = 0;                // of them, at the end
};

}  // namespace tidewire::guard
