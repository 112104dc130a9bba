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
  end_subscription(context.connection, session, *subscription);
  reply(context,
        protocol::MessageWriter("unsubscribed", context.id).text("channel", request.channel).finish());
  // What was being fetched may have been for this one.
  want_page(context.connection, session);
}

}  // namespace tidewire::hub
