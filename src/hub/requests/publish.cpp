#include "hub/publish.h"

#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

Sessions::Taken Sessions::carry_out(Context& context, protocol::PublishRequest&& request,
                                    const Awaited& awaited) {
  Session& session = context.session;
  const SharedName channel = request.channel;
  const auto refused = [&](const Error& error) {
    refuse(context, error, channel);
    return Taken::yes;
  };
  const auto admission = admit(namespaces_, caller_of(session), auth::Action::publish, channel);
  if (!admission) return refused(admission.error());
  const std::string user(inbox_user(*admission->ns, channel));
  if (shared_.users != nullptr && !user.empty()) {
    const guard::LimitKey key = shared_.keys.user(tenant_of(session).name, user);
    const auto state = state_of_user(shared_.users, key, context.now, awaited);
    if (!state) {
      outbound_.ask_user(context.connection, session.tenant, user);
      return Taken::wait_for_user;
    }
    if (const auto refusal = inbox_refusal(*state, shared_.users, context.now)) return refused(*refusal);
  }
  if (!passes_overload(shared_.limits.overload(), publish_gate_, admission->ns->priority))
    return refused(overload_error());
  if (!request.ephemeral) session.activity.message(writer_in(*admission->ns), context.now.mono_ms());
  const bool echo = request.echo;
  PublishCommand command =
      prepare_publish(session.tenant, *admission, author_of(context.connection, session), std::move(request));
  if (!echo) command.skip = context.connection;
  command.reply = reserve(context);
  session.replies->back().unechoed = !echo;
  const ShardId home = home_of(command.channel);
  post_(home, std::move(command));
  return Taken::yes;
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
