#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

// Takes entries out of an inbox, on all devices (protocol §4 `ack`).
void Sessions::carry_out(Context& context, protocol::AckRequest&& request) {
  const auto admission =
      admit(namespaces_, caller_of(context.session), auth::Action::subscribe, request.channel);
  if (!admission) return refuse(context, admission.error(), request.channel);
  if (admission->ns->kind != Kind::inbox)
    return refuse(context, fail(ErrorCode::invalid_message, "`ack` is for inboxes").error(), request.channel);
  AckCommand command{.channel = {context.session.tenant, std::move(request.channel)},
                     .reply = reserve(context),
                     .author = author_of(context.connection, context.session),
                     .session = context.connection,
                     .seqs = std::move(request.seqs),
                     .up_to = request.up_to};
  const ShardId home = home_of(command.channel);
  post_(home, std::move(command));
}

void Sessions::handle(AckResult&& result, const Time&) {
  const std::string id = request_id_of(result.reply);
  if (!result.result)
    return complete_refused(result.reply, result.result.error(), "ack", result.channel.name);
  const Acked& acked = *result.result;
  // The ack's own entry is in the log; this reply is its delivery.
  if (Session* session = find(result.reply.target)) note_own(*session, result.channel, acked.seq);
  protocol::MessageWriter answer("acked", id);
  answer.text("channel", result.channel.name);
  if (acked.seq != 0) answer.number("seq", acked.seq);
  std::string seqs = "[";
  for (const std::uint64_t seq : acked.seqs) {
    if (seqs.size() > 1) seqs += ',';
    append_json_int(seqs, seq);
  }
  seqs += ']';
  answer.json("seqs", seqs).number("pending", static_cast<std::uint64_t>(acked.pending));
  complete(result.reply, answer.finish());
}

}  // namespace tidewire::hub
