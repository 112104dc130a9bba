#include <algorithm>

#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

void Sessions::carry_out(Context& context, protocol::PresenceRequest&& request) {
  using enum protocol::PresenceAction;
  Session& session = context.session;
  const auto ns = admit(namespaces_, caller_of(session), auth::Action::presence, request.channel);
  if (!ns) return refuse(context, ns.error(), request.channel);

  PresenceCommand command{.channel = {session.tenant, std::move(request.channel)},
                          .reply = {},
                          .action = request.action,
                          .author = author_of(session),
                          .data = {},
                          .session = context.connection};
  if (!request.data.empty()) command.data = std::string(request.data);

  // The session remembers where it entered, so that close() can take it out again.
  const auto entered = std::ranges::find(session.entered, command.channel, &Entered::channel);
  if (entered != session.entered.end()) {
    command.author = entered->author;
    if (request.action == leave) session.entered.erase(entered);
  } else if (request.action == enter) {
    if (session.entered.size() >= tenant_of(session).limits.channels)
      return refuse(context, fail(ErrorCode::channel_limit).error(), command.channel.name);
    session.entered.push_back({command.channel, command.author});
  }
  command.reply = reserve(context);
  const ShardId home = home_of(command.channel);
  post_(home, std::move(command));
}

void Sessions::handle(PresenceResult&& result, const Time&) {
  if (result.reply.kind == ReplyTo::Kind::notice) {
    // A reader that was too slow for presence events gets the whole list, without an `id`.
    if (result.result && find(result.reply.target) != nullptr)
      outbound_.send(result.reply.target, protocol::MessageWriter("presence")
                                              .text("channel", result.channel.name)
                                              .json("members", *result.result)
                                              .finish());
    return;
  }
  const std::string id = request_id_of(result.reply);
  if (!result.result)
    return complete(result.reply,
                    protocol::error_message(result.result.error(), id, "presence", result.channel.name));
  complete(result.reply, protocol::MessageWriter("presence", id)
                             .text("channel", result.channel.name)
                             .json("members", *result.result)
                             .finish());
}

}  // namespace tidewire::hub
