#include "hub/analytics.h"

#include <algorithm>

namespace tidewire::hub {

ShardCounts& ShardCounts::operator+=(const ShardCounts& part) {
  ShardCounts& sum = *this;
  sum.connections += part.connections;
  sum.channels += part.channels;
  sum.subscriptions += part.subscriptions;
  sum.connections_opened += part.connections_opened;
  sum.messages_in += part.messages_in;
  sum.messages_out += part.messages_out;
  sum.bytes_in += part.bytes_in;
  sum.bytes_out += part.bytes_out;
  sum.malformed += part.malformed;
  sum.rate_checked += part.rate_checked;
  sum.rate_limited += part.rate_limited;
  sum.penalties += part.penalties;
  sum.auth_failures += part.auth_failures;
  sum.auth_penalties += part.auth_penalties;
  sum.went_behind += part.went_behind;
  sum.send_circuits_open += part.send_circuits_open;
  sum.send_circuits_opened += part.send_circuits_opened;
  sum.pages_asked += part.pages_asked;
  sum.pages_shared += part.pages_shared;
  sum.gaps += part.gaps;
  for (std::size_t i = 0; i < sum.requests.size(); ++i) sum.requests[i] += part.requests[i];
  for (std::size_t i = 0; i < sum.health.size(); ++i) sum.health[i] += part.health[i];
  sum.ended_unhealthy += part.ended_unhealthy;
  sum.loop_lag_us = std::max(sum.loop_lag_us, part.loop_lag_us);
  return sum;
}

ShardCounts ShardCounts::since(const ShardCounts& then) const {
  ShardCounts now = *this;
  now.connections_opened -= then.connections_opened;
  now.messages_in -= then.messages_in;
  now.messages_out -= then.messages_out;
  now.bytes_in -= then.bytes_in;
  now.bytes_out -= then.bytes_out;
  now.malformed -= then.malformed;
  now.rate_checked -= then.rate_checked;
  now.rate_limited -= then.rate_limited;
  now.penalties -= then.penalties;
  now.auth_failures -= then.auth_failures;
  now.auth_penalties -= then.auth_penalties;
  now.went_behind -= then.went_behind;
  now.send_circuits_opened -= then.send_circuits_opened;
  now.pages_asked -= then.pages_asked;
  now.pages_shared -= then.pages_shared;
  now.gaps -= then.gaps;
  now.ended_unhealthy -= then.ended_unhealthy;
  for (std::size_t i = 0; i < now.requests.size(); ++i) now.requests[i] -= then.requests[i];
  return now;
}

ShardCounts sum_of(const std::vector<ShardCounts>& parts) {
  ShardCounts sum;
  for (const ShardCounts& part : parts) sum += part;
  return sum;
}

void add(std::vector<ShardCounts>& sum, const std::vector<ShardCounts>& part) {
  if (sum.size() < part.size()) sum.resize(part.size());
  for (std::size_t i = 0; i < part.size(); ++i) sum[i] += part[i];
}

void Analytics::merge(const Analytics& other) {
  window_us = std::max(window_us, other.window_us);
  add(tenants, other.tenants);
  requests.merge(other.requests);
  calls.merge(other.calls);
  calls_counted.resize(std::max(calls_counted.size(), other.calls_counted.size()));
  for (std::size_t i = 0; i < other.calls_counted.size(); ++i)
    for (std::size_t status = 0; status < other.calls_counted[i].size(); ++status)
      calls_counted[i][status] += other.calls_counted[i][status];
  round_trips.merge(other.round_trips);
  talkers.merge(other.talkers);
}

}  // namespace tidewire::hub
