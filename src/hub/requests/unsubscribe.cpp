#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

void Sessions::carry_out(Context& context, protocol::UnsubscribeRequest&& request) {
  Session& session = context.session;
  const Handle replica = replicas_.find({session.tenant, request.channel});
  Subscription* subscription = replica ? session.find_replica(replica) : nullptr;
  if (subscription == nullptr) {
    const auto ns = namespace_for(namespaces_, request.channel);
    return refuse(context, ns ? fail(ErrorCode::not_subscribed).error() : ns.error(), request.channel);
  }
  const std::uint64_t lacks_from = give_last(context.connection, *subscription);
  end_subscription(context.connection, session, *subscription, lacks_from);
  reply(context,
        protocol::MessageWriter("unsubscribed", context.id).text("channel", request.channel).finish());
  // What was being fetched may have been for this one.
  want_page(context.connection, session);
}

// A member's messages come either here or to its inbox (protocol §7 `session`): what is on its way to the
// connection goes out first, and the rest begins with the seq that is returned. 0: none, in other channels.
std::uint64_t Sessions::give_last(Handle connection, const Subscription& subscription) {
  Replica& replica = *replicas_.get(subscription.replica);
  if (replica.ns->kind != Kind::session) return 0;
  if (replica.turn) flush(subscription.replica, replica);
  outbound_.hurry(connection, {replica.priority, subscription.replica});
  return subscription.state == Subscription::State::live ? replica.seq + 1 : subscription.needs.next_seq();
}

}  // namespace tidewire::hub
