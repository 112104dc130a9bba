#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

void Sessions::carry_out(Context& context, protocol::HistoryRequest&& request) {
  const auto admission =
      admit(namespaces_, caller_of(context.session), auth::Action::history, request.channel);
  if (!admission) return refuse(context, admission.error(), request.channel);
  HistoryCommand command{.channel = {context.session.tenant, std::move(request.channel)},
                         .reply = reserve(context, ReplySize::large),
                         .after = request.after,
                         .before = request.before,
                         .limit = request.limit,
                         .epoch = std::move(request.epoch),
                         .author = author_of(context.connection, context.session),
                         .rights = admission->rights};
  const ShardId home = home_of(command.channel);
  post_(home, std::move(command));
}

void Sessions::handle(HistoryResult&& result, const Time&) {
  const std::string id = request_id_of(result.reply);
  if (!result.result)
    return complete_refused(result.reply, result.result.error(), "history", result.channel.name);
  const HistoryPage& page = *result.result;
  complete(result.reply, protocol::MessageWriter("history", id)
                             .text("channel", result.channel.name)
                             .text("epoch", page.epoch)
                             .number("first", page.first)
                             .number("last", page.last)
                             .json("messages", protocol::messages_array(page.messages))
                             .finish());
}

}  // namespace tidewire::hub
