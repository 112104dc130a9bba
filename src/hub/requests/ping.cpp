#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

void Sessions::carry_out(Context& context, protocol::PingRequest&& request) {
  protocol::MessageWriter pong("pong", context.id);
  if (!request.data.empty()) pong.json("data", request.data);
  reply(context, pong.number("timestamp", context.now.unix_ms).finish());
}

}  // namespace tidewire::hub
