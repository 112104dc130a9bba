#include "guard/anomalies.h"

#include <algorithm>
#include <utility>

#include "guard/bounded_table.h"
#include "guard/striped.h"

namespace tidewire::guard {

std::string_view name_of(AnomalyAction action) {
  static constexpr std::array<std::string_view, 4> kNames{"off", "report", "slow", "refuse"};
  return kNames[static_cast<std::size_t>(action)];
}

class Anomalies::Stripes : public Striped<BoundedTable<UserHabits>> {
 public:
  using Striped::Striped;
};

Anomalies::Anomalies(std::size_t max_users) : stripes_(std::make_unique<Stripes>(max_users)) {}
Anomalies::~Anomalies() = default;

Anomalies::Verdict Anomalies::judge(const LimitKey& user, const Activity& activity,
                                    const AnomalyPolicy& policy, Population& everybody, std::int64_t now_ms) {
  const auto judge_by = [&](UserHabits& habits) -> Verdict {
    Verdict verdict{.finding = habits.judge(activity, policy.method, everybody, now_ms, policy.holds())};
    const bool weighs = verdict.finding &&
                        (verdict.finding->kind != AnomalyKind::bot_timing || habits.is_unusual_otherwise());
    if (weighs && policy.holds()) {
      verdict.action = policy.action;
      // What is found while one is in force does not lengthen it.
      if (habits.held_until_ms() <= now_ms) habits.hold(now_ms + policy.hold_ms);
    }
    if (policy.holds()) verdict.held_until_ms = habits.held_until_ms();
    return verdict;
  };
  if (!user) {
    UserHabits nobody;
    return judge_by(nobody);
  }
  return stripes_->with(user, [&](auto& table) { return judge_by(table.insert(user, now_ms)); });
}

std::int64_t Anomalies::held_until_ms(const LimitKey& user) {
  if (!user) return 0;
  return stripes_->with(user, [&](auto& table) -> std::int64_t {
    const UserHabits* habits = table.find(user);
    return habits == nullptr ? 0 : habits->held_until_ms();
  });
}

void Anomalies::report(AnomalyReport report) {
  counts_[static_cast<std::size_t>(report.kind)].fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  if (reports_.size() == kReports) reports_.pop_front();
  reports_.push_back(std::move(report));
  new_ = std::min(new_ + 1, reports_.size());
}

std::vector<AnomalyReport> Anomalies::latest(std::size_t most) const {
  const std::lock_guard lock(mutex_);
  const auto count = static_cast<std::ptrdiff_t>(std::min(most, reports_.size()));
  return {reports_.rbegin(), reports_.rbegin() + count};
}

std::vector<AnomalyReport> Anomalies::take_new() {
  const std::lock_guard lock(mutex_);
  const auto count = static_cast<std::ptrdiff_t>(std::exchange(new_, 0));
  return {reports_.end() - count, reports_.end()};
}

std::size_t Anomalies::users() { return stripes_->size(); }

void Anomalies::sweep(std::int64_t now_ms) {
  stripes_->with_next([&](auto& table) { table.sweep(now_ms); });
}

}  // namespace tidewire::guard
