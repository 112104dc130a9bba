// The health of this shard's connections: what is measured, and what follows from it (requirement P6).

#include <algorithm>

#include "hub/sessions.h"

namespace tidewire::hub {

void Sessions::on_round_trip(Handle connection, std::int64_t round_trip_us) {
  if (Session* session = find(connection)) session->health.note_round_trip(round_trip_us);
  recent_.note_round_trip(round_trip_us);
}

void Sessions::pass_health(const Time& now) {
  const std::int64_t now_ms = now.mono_ms();
  if (health_looked_ms_ >= 0 && sessions_.slots() > 0)
    health_owed_ += static_cast<double>(sessions_.slots()) *
                    static_cast<double>(std::max<std::int64_t>(now_ms - health_looked_ms_, 0)) /
                    static_cast<double>(std::max<std::int64_t>(options_.health_interval_ms, 1));
  health_looked_ms_ = now_ms;
  // What a stall has left undone is not made up for: each is looked at once.
  health_owed_ = std::min(health_owed_, static_cast<double>(sessions_.slots()));
  std::size_t left = std::min(static_cast<std::size_t>(health_owed_), kHealthSlice);
  health_owed_ -= static_cast<double>(left);

  std::size_t ended = 0;
  const bool overloaded = shared_.limits.overload().step() == guard::Shedding::shed_publishes;
  for (; left > 0; --left) {
    if (health_next_ >= sessions_.slots()) health_next_ = 0;
    const auto index = static_cast<std::uint32_t>(health_next_++);
    Session* session = sessions_[index];
    if (session == nullptr || session->closing) continue;
    const Handle connection{index, session->generation};
    // Who has fallen silent is judged for what was before.
    if (session->activity.due(now_ms)) judge_activity(connection, *session, now);
    const guard::HealthStatus before = session->health.status();
    const std::int64_t waiting_us = outbound_.ping_waiting_us(connection);
    if (waiting_us > options_.health.max_latency_ms * 1000) session->health.note_waiting(waiting_us);
    if (session->health.pass(options_.health)) {
      --counts_of(session->tenant).health[static_cast<std::size_t>(before)];
      ++counts_of(session->tenant).health[static_cast<std::size_t>(session->health.status())];
      outbound_.set_pace(connection, session->health.status());
    }
    // Ending is the last resort, of a server that can no longer serve those who are well.
    if (overloaded && ended < kEndedPerSlice && session->health.status() == guard::HealthStatus::unhealthy) {
      ++ended;
      ++counts_of(session->tenant).ended_unhealthy;
      end(connection, *session, 1013, "overloaded");
    }
  }
}

}  // namespace tidewire::hub
