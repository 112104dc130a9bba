#include "hub/sessions.h"

namespace tidewire::hub {

// Only inboxes have entries to acknowledge (protocol §4 `ack`).
void Sessions::carry_out(Context& context, protocol::AckRequest&& request) {
  const auto ns = admit(namespaces_, caller_of(context.session), auth::Action::subscribe, request.channel);
  if (!ns) return refuse(context, ns.error(), request.channel);
  refuse(context, fail(ErrorCode::invalid_message, "`ack` is for inboxes").error(), request.channel);
}

}  // namespace tidewire::hub
