#include <algorithm>

#include "hub/sessions.h"

namespace tidewire::hub {

// An event stream's subscription (protocol §8 `/sse`): as an entry of a `subscribe` that has no `id`, and
// that was counted when the stream was asked for.
void Sessions::follow(Handle connection, protocol::SubscribeItem&& item, const Time& now) {
  Session* session = find(connection);
  if (session == nullptr || session->closing) return;
  Context context{.connection = connection, .session = *session, .now = now, .id = {}, .type = "subscribe"};
  subscribe_one(context, std::move(item));
}

bool Sessions::is_answered(Handle connection) const {
  const Session* found = session(connection);
  return found == nullptr || !found->replies || found->replies->empty();
}

std::optional<std::uint64_t> Sessions::first_missing(Handle connection, std::string_view channel) const {
  const Session* found = session(connection);
  if (found == nullptr) return std::nullopt;
  const Handle handle = replicas_.find({found->tenant, std::string(channel)});
  if (!handle) return std::nullopt;
  const auto subscription = std::ranges::find(found->subscriptions, handle, &Subscription::replica);
  if (subscription == found->subscriptions.end()) return std::nullopt;
  return subscription->needs.next_seq();
}

}  // namespace tidewire::hub
