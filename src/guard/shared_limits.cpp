#include "guard/shared_limits.h"

#include <algorithm>

#include "guard/anomalies.h"
#include "guard/limit_table.h"
#include "guard/striped.h"

namespace tidewire::guard {

class SharedLimits::Stripes : public Striped<LimitTable> {
 public:
  using Striped::Striped;
};

SharedLimits::SharedLimits(std::size_t max_entries)
    : stripes_(std::make_unique<Stripes>(max_entries)),
      anomalies_(std::make_unique<Anomalies>(max_entries)) {}
SharedLimits::~SharedLimits() = default;

std::int64_t SharedLimits::spend(Spend spend, const SharedKeys& keys, const Limits& limits,
                                 LimitFactor factor, std::int64_t now_ms) {
  if (!keys.user && !keys.address) return 0;
  const Rate user_rate = limits.user_rate(factor);
  const Rate address_rate = limits.address_rate();
  if (address_rate.off()) return 0;
  const auto judge = [&](LimitTable& users, LimitTable& addresses) {
    const std::int64_t wait_ms = std::max(users.wait_ms(keys.user, user_rate, now_ms),
                                          addresses.wait_ms(keys.address, address_rate, now_ms));
    if (wait_ms == 0 && spend == Spend::take) {
      users.take(keys.user, user_rate, now_ms);
      addresses.take(keys.address, address_rate, now_ms);
    }
    return wait_ms;
  };
  // Without a user there is one stripe to lock, not two.
  return stripes_->with_both(keys.user ? keys.user : keys.address, keys.address ? keys.address : keys.user,
                             judge);
}

Admission SharedLimits::admit_connection(const LimitKey& address, const Limits& limits, std::int64_t now_ms) {
  // Compared and counted in one step: a count that overshoots for a moment would refuse others.
  std::int64_t before = connections_.load(std::memory_order_relaxed);
  do {
    if (limits.connections > 0 && before >= limits.connections) return Admission::server_full;
  } while (!connections_.compare_exchange_weak(before, before + 1, std::memory_order_relaxed));
  const bool fits = stripes_->with(address, [&](LimitTable& table) {
    return table.add_connection(address, limits.connections_per_address, now_ms);
  });
  if (fits) return Admission::admitted;
  connections_.fetch_sub(1, std::memory_order_relaxed);
  return Admission::address_full;
}

void SharedLimits::release_connection(const LimitKey& address) {
  stripes_->with(address, [&](LimitTable& table) { table.remove_connection(address); });
  connections_.fetch_sub(1, std::memory_order_relaxed);
}

Admission SharedLimits::admit_user(const LimitKey& user, const Limits& limits, std::int64_t now_ms) {
  const bool fits = stripes_->with(user, [&](LimitTable& table) {
    return table.add_connection(user, limits.connections_per_user, now_ms);
  });
  return fits ? Admission::admitted : Admission::user_full;
}

void SharedLimits::release_user(const LimitKey& user) {
  stripes_->with(user, [&](LimitTable& table) { table.remove_connection(user); });
}

std::int64_t SharedLimits::connections_of(const LimitKey& key) {
  return stripes_->with(key, [&](LimitTable& table) { return table.connections(key); });
}

std::size_t SharedLimits::entries() { return stripes_->size(); }

void SharedLimits::sweep(std::int64_t now_ms) {
  stripes_->with_next([&](LimitTable& table) { table.sweep(now_ms); });
}

}  // namespace tidewire::guard
