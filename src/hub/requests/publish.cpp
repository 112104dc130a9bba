#include "hub/publish.h"

#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

void Sessions::carry_out(Context& context, protocol::PublishRequest&& request) {
  const std::string channel = request.channel;
  const auto admission = admit(namespaces_, caller_of(context.session), auth::Action::publish, channel);
  if (!admission) return refuse(context, admission.error(), channel);
  if (!passes_overload(shared_.limits.overload(), publish_gate_, admission->ns->priority))
    return refuse(context, overload_error(), channel);
  const bool by_person = admission->ns->kind == Kind::stream || admission->ns->kind == Kind::session;
  if (!request.ephemeral)
    context.session.activity.message(
        by_person ? guard::ActivityMeter::Writer::person : guard::ActivityMeter::Writer::program,
        context.now.mono_ms());
  const bool echo = request.echo;
  PublishCommand command = prepare_publish(
      context.session.tenant, *admission, author_of(context.connection, context.session), std::move(request));
  if (!echo) command.skip = context.connection;
  command.reply = reserve(context);
  context.session.replies->back().unechoed = !echo;
  const ShardId home = home_of(command.channel);
  post_(home, std::move(command));
}

void Sessions::handle(PublishResult&& result, const Time&) {
  const std::string id = request_id_of(result.reply);
  if (!result.result)
    return complete_refused(result.reply, result.result.error(), "publish", result.channel.name);
  const Published& published = *result.result;
  if (const PendingReply* pending = pending_reply(result.reply);
      pending != nullptr && pending->unechoed && !published.duplicate)
    note_own(*find(result.reply.target), result.channel, published.seq);
  protocol::MessageWriter answer("published", id);
  answer.text("channel", result.channel.name);
  if (published.dropped)
    answer.text("epoch", published.epoch).boolean("dropped", true);
  else if (published.seq == 0)
    answer.boolean("ephemeral", true);
  else
    answer.text("epoch", published.epoch).number("seq", published.seq);
  if (published.duplicate) answer.boolean("duplicate", true);
  complete(result.reply, answer.finish());
}

}  // namespace tidewire::hub
