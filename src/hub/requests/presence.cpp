#include <fmt/format.h>

#include <algorithm>

#include "hub/publish.h"
#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

namespace {
// Everybody who asks for the list is told it of each member.
constexpr std::size_t kPresenceDataBytesMax = 16 * 1024;
}  // namespace

void Sessions::carry_out(Context& context, protocol::PresenceRequest&& request) {
  using enum protocol::PresenceAction;
  Session& session = context.session;
  const auto admission = admit(namespaces_, caller_of(session), auth::Action::presence, request.channel);
  if (!admission) {
    // To leave needs no right, and whoever has none here has not entered (review.cpp) and sees no list.
    const auto ns = namespace_for(namespaces_, request.channel);
    if (request.action != leave || !ns || !(*ns)->presence)
      return refuse(context, admission.error(), request.channel);
    protocol::MessageWriter nobody("presence", context.id);
    return reply(context, nobody.text("channel", request.channel).json("members", "[]").finish());
  }

  PresenceCommand command{.channel = {session.tenant, std::move(request.channel)},
                          .reply = {},
                          .action = request.action,
                          .author = author_of(context.connection, session),
                          .data = {},
                          .session = context.connection,
                          .rights = admission->rights};
  const bool says_data = request.action == enter || request.action == update;
  if (says_data && request.data.size() > kPresenceDataBytesMax)
    return refuse(
        context,
        fail(ErrorCode::too_large, fmt::format("a member's `data` may have {} bytes", kPresenceDataBytesMax))
            .error(),
        command.channel.name);
  // There is no place for flags in a member, so only `reject` has a say here.
  if (const auto flags = says_data ? judged(*admission->ns, request.data) : guard::ContentFlags();
      !flags.empty() && admission->ns->content_policy == ContentPolicy::reject)
    return refuse(context, content_rejected(flags.first()), command.channel.name);
  if (says_data && !request.data.empty()) command.data = std::string(request.data);

  // The session remembers where it entered, so that close() can take it out again.
  std::vector<Entered>& all = session.more().entered;
  const auto entered = std::ranges::find(all, command.channel, &Entered::channel);
  if (entered != all.end()) {
    command.author = entered->author;
    if (request.action == leave) all.erase(entered);
  } else if (request.action == enter) {
    if (all.size() >= tenant_of(session).limits.channels)
      return refuse(context, fail(ErrorCode::channel_limit).error(), command.channel.name);
    all.push_back({command.channel, command.author});
  }
  command.reply = reserve(context, ReplySize::large);
  const ShardId home = home_of(command.channel);
  post_(home, std::move(command));
}

void Sessions::handle(PresenceResult&& result, const Time&) {
  if (result.reply.kind == ReplyTo::Kind::notice) return tell_members(result.reply.target, result);
  const std::string id = request_id_of(result.reply);
  if (!result.result)
    return complete_refused(result.reply, result.result.error(), "presence", result.channel.name);
  const Handle lists = replicas_.find(result.channel);
  // Events that are older than the list go before it.
  if (Replica* replica = replicas_.get(lists); replica != nullptr && replica->turn) flush(lists, *replica);
  complete(result.reply,
           protocol::MessageWriter("presence", id)
               .text("channel", result.channel.name)
               .json("members", *result.result)
               .finish(),
           0, lists);
}

// The whole list for a subscription that has missed presence events, without an `id`. It travels with
// the channel's deliveries: ahead of them, older events would undo it.
void Sessions::tell_members(Handle connection, const PresenceResult& result) {
  Session* session = find(connection);
  const Handle handle = replicas_.find(result.channel);
  if (session == nullptr || session->closing || !result.result || !handle) return;
  Replica& replica = *replicas_.get(handle);
  if (replica.turn) flush(handle, replica);
  Subscription* subscription = session->find_replica(handle);
  if (subscription == nullptr || !subscription->presence ||
      subscription->state == Subscription::State::joining)
    return;
  protocol::DeliveryBatch batch;
  batch.add(protocol::MessageWriter("presence")
                .text("channel", result.channel.name)
                .json("members", *result.result)
                .finish());
  if (outbound_.push(connection, batch, 0, 1, {replica.priority, handle})) return;
  subscription->presence_missed = true;
  if (subscription->state == Subscription::State::live)
    go_behind(*session, replica.subscribers[subscription->place], *subscription, replica.seq + 1);
}

}  // namespace tidewire::hub
