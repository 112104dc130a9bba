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

void SharedLimits::prefetch(const SharedKeys& keys) const {
  stripes_->prefetch(keys.user);
  stripes_->prefetch(keys.address);
}

std::int64_t SharedLimits::spend_alone(const Alone& who, const Limits& limits, std::int64_t now_ms) {
  const SharedKeys& keys = who.keys;
  LimitFactor factor = limits.adaptive ? records_.factor(keys.user, now_ms) : LimitFactor();
  if (who.slowed) factor = LimitFactor::of(0.5);
  const std::int64_t wait_ms = spend(Spend::take, keys, limits, factor, now_ms);
  if (wait_ms == 0) {
    if (limits.adaptive) records_.good(keys.user, now_ms);
    return 0;
  }
  records_.bad(keys.user, Offence::refused, now_ms);
  if (!limits.dry_run) return wait_ms;
  dry_run_.note(who.tenant, who.user);
  return 0;
}

Admission SharedLimits::admit_connection(const LimitKey& address, const LimitKey& tenant,
                                         const Limits& limits, std::int64_t now_ms) {
  // Compared and counted in one step: a count that overshoots for a moment would refuse others.
  std::int64_t before = connections_.load(std::memory_order_relaxed);
  do {
    if (limits.connections > 0 && before >= limits.connections) return Admission::server_full;
  } while (!connections_.compare_exchange_weak(before, before + 1, std::memory_order_relaxed));
  const auto add = [&](const LimitKey& key, std::int64_t most) {
    return stripes_->with(key, [&](LimitTable& table) { return table.add_connection(key, most, now_ms); });
  };
  Admission refusal = Admission::tenant_full;
  if (add(tenant, limits.tenant_connections)) {
    if (add(address, limits.connections_per_address)) return Admission::admitted;
    stripes_->with(tenant, [&](LimitTable& table) { table.remove_connection(tenant); });
    refusal = Admission::address_full;
  }
  connections_.fetch_sub(1, std::memory_order_relaxed);
  return refusal;
}

void SharedLimits::release_connection(const LimitKey& address, const LimitKey& tenant) {
  for (const LimitKey& key : {address, tenant})
    stripes_->with(key, [&](LimitTable& table) { table.remove_connection(key); });
  connections_.fetch_sub(1, std::memory_order_relaxed);
}

Admission SharedLimits::admit_user(const LimitKey& user, const Limits& limits, std::int64_t now_ms) {
  const bool fits = stripes_->with(user, [&](LimitTable& table) {
    return table.add_connection(user, limits.connections_per_user, now_ms);
  });
  return fits ? Admission::admitted : Admission::user_full;
}

void SharedLimits::count_user(const LimitKey& user, std::int64_t now_ms) {
  stripes_->with(user, [&](LimitTable& table) { return table.add_connection(user, 0, now_ms); });
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
  records_.sweep(now_ms);
}

}  // namespace tidewire::guard
