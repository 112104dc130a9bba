// Deliveries in bursts: how a connection that is not healthy is treated gently (requirement P6), and how
// deliveries of low priority go behind when the server is overloaded (P7).
//
// In a pause push() refuses, so a subscription is behind; its catch-up then brings one snapshot, merged
// deltas or a run of messages in place of many single deliveries, and nothing is lost. A burst begins
// with its first delivery, so that each pause is followed by progress however slow the rest is.

#include "gateway/gateway.h"

namespace tidewire::gateway {

namespace {

struct Pace {
  std::int64_t burst_ms = 0;
  std::int64_t pause_ms = 0;  // 0: none
};
constexpr Pace kDegraded{.burst_ms = 50, .pause_ms = 200};
constexpr Pace kUnhealthy{.burst_ms = 100, .pause_ms = 900};
constexpr Pace kDeferred{.burst_ms = 100, .pause_ms = 1'900};

Pace pace_of(guard::HealthStatus health, hub::Priority priority, guard::Shedding step) {
  if (priority == hub::Priority::low && step >= guard::Shedding::defer_low_priority) return kDeferred;
  if (priority == hub::Priority::critical) return {};
  switch (health) {
    case guard::HealthStatus::healthy:
      return {};
    case guard::HealthStatus::degraded:
      return kDegraded;
    case guard::HealthStatus::unhealthy:
      break;
  }
  return kUnhealthy;
}

}  // namespace

bool Gateway::in_pause(Connection& connection, Lane lane) {
  const Pace pace = pace_of(connection.health, lane.priority, shared_.limits.overload().step());
  if (pace.pause_ms == 0) return false;
  const std::int64_t now = now_ms();
  ConnectionExtras& extras = connection.more();
  if (now < extras.pace_opens_ms) return true;
  // Whoever gets something only now and then gets it at once.
  const bool rested = now >= extras.pace_closes_ms + pace.pause_ms;
  if (extras.pace_closes_ms == 0 || rested) {
    extras.pace_closes_ms = now + pace.burst_ms;
  } else if (now >= extras.pace_closes_ms) {
    extras.pace_opens_ms = now + pace.pause_ms;
    extras.pace_closes_ms = 0;
    return true;
  }
  return false;
}

std::int64_t Gateway::ping_waiting_us(Handle handle) const {
  const Connection* connection = connections_.get(handle);
  if (connection == nullptr || connection->pings_waiting == 0) return -1;
  return (now_ms() - (connection->ping_due_ms - connection->pings_waiting * options_.heartbeat_ms)) * 1000;
}

void Gateway::set_pace(Handle handle, guard::HealthStatus health) {
  Connection* connection = connections_.get(handle);
  if (connection == nullptr) return;
  connection->health = health;
  // Whoever is well again does not wait for the end of a pause.
  if (health != guard::HealthStatus::healthy) return;
  connection->clear(&ConnectionExtras::pace_opens_ms);
  if (connection->notify_drained) touch(*connection);
}

}  // namespace tidewire::gateway
