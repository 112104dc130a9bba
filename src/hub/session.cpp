#include "hub/session.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidewire::hub {

Subscription* Session::find(std::uint32_t number) {
  const auto found = std::ranges::find(subscriptions, number, &Subscription::number);
  return found == subscriptions.end() ? nullptr : &*found;
}

Subscription* Session::find_replica(Handle replica) {
  const auto found = std::ranges::find(subscriptions, replica, &Subscription::replica);
  return found == subscriptions.end() ? nullptr : &*found;
}

std::string connection_name(std::uint64_t connection_id) { return fmt::format("c-{:016x}", connection_id); }

}  // namespace tidewire::hub
