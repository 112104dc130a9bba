// What a shard tells of the recent past, and what it is made of (protocol §8, websocket-analytics).
//
// Values only; shards' parts add up (merge).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/histogram.h"
#include "guard/connection_health.h"
#include "guard/space_saving.h"
#include "hub/types.h"

namespace tidewire::hub {

// The place of `publish` among the types of requests.
inline constexpr std::size_t kPublishType =
    static_cast<std::size_t>(std::ranges::find(protocol::kRequestNames, std::string_view("publish")) -
                             protocol::kRequestNames.begin());
static_assert(kPublishType < protocol::kRequestTypes);

// Traffic of one shard since its start, and what it holds now.
struct ShardCounts {
  std::uint64_t connections = 0, users = 0, channels = 0, subscriptions = 0;
  std::uint64_t connections_opened = 0, messages_in = 0, messages_out = 0, bytes_in = 0, bytes_out = 0;
  std::uint64_t rate_checked = 0;  // requests that the rate limit has judged, refused ones too
  std::uint64_t malformed = 0, rate_limited = 0, penalties = 0, went_behind = 0, gaps = 0;
  std::uint64_t auth_failures = 0, auth_penalties = 0;  // tokens refused; addresses turned away for them
  std::array<std::uint64_t, protocol::kRequestTypes> requests{};  // by type; publishes over HTTP too
  std::array<std::uint64_t, guard::kHealthStatuses> health{};     // connections, by status
  std::uint64_t ended_unhealthy = 0;
  std::uint64_t pages_asked = 0, pages_shared = 0;  // for subscriptions that are behind
  std::uint64_t send_circuits_open = 0, send_circuits_opened = 0;
  std::uint64_t loop_lag_us = 0;

  // Adds up what shards or tenants count; of loop lags the longest.
  ShardCounts& operator+=(const ShardCounts& part);
  // What came since `then`; what is a state and no count stays as it is.
  ShardCounts since(const ShardCounts& then) const;
};

ShardCounts sum_of(const std::vector<ShardCounts>& parts);
// Place by place.
void add(std::vector<ShardCounts>& sum, const std::vector<ShardCounts>& part);

// Who sends much: a user, or the address of those who are anonymous.
struct Talker {
  TenantId tenant = 0;
  bool anonymous = false;
  std::string name;
};
using Talkers = guard::SpaceSaving<Talker>;

// HTTP calls that were answered, by class of status: 2xx to 5xx.
using CallsByStatus = std::array<std::uint64_t, 4>;

struct Analytics {
  std::int64_t window_us = 0;             // what is covered
  std::vector<ShardCounts> tenants = {};  // counters: what came in the window, by tenant
  Histogram requests = {};
  Histogram calls = {};                           // over HTTP
  std::vector<CallsByStatus> calls_counted = {};  // since the start, by the API's route
  Histogram round_trips = {};
  Talkers talkers = {};

  void merge(const Analytics& other);
};

}  // namespace tidewire::hub
