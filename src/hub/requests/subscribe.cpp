#include <algorithm>

#include "hub/sessions.h"
#include "protocol/channel_name.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

// One `subscribed` or `error` per channel, in order (protocol §4 `subscribe`).
void Sessions::carry_out(Context& context, protocol::SubscribeRequest&& request) {
  Session& session = context.session;
  const bool is_malformed =
      std::ranges::any_of(request.channels, [](const auto& item) { return !item.fault.empty(); });
  if (request.channels.size() == 1 && !session.to_subscribe && !is_malformed &&
      !must_wait(session, request.channels[0].channel))
    return subscribe_one(context, std::move(request.channels[0]));
  if (!session.to_subscribe) session.to_subscribe = std::make_unique<ToSubscribe>();
  for (protocol::SubscribeItem& item : request.channels)
    session.to_subscribe->items.push_back({.id = std::string(context.id), .item = std::move(item)});
  session.to_subscribe->items.back().ends_malformed = is_malformed;
}

bool Sessions::has_rest(Handle connection) const {
  const Session* found = session(connection);
  return found != nullptr && !found->closing && found->to_subscribe != nullptr;
}

void Sessions::take_rest(Handle connection, const Time& now) {
  if (!has_rest(connection)) return;
  Session& session = *find(connection);
  ToSubscribe::Item next = std::move(session.to_subscribe->items.front());
  session.to_subscribe->items.pop_front();
  if (session.to_subscribe->items.empty()) session.to_subscribe.reset();
  Context context{
      .connection = connection, .session = session, .now = now, .id = next.id, .type = "subscribe"};
  if (next.item.fault.empty())
    subscribe_one(context, std::move(next.item));
  else
    reply(context,
          protocol::error_message(fail(ErrorCode::invalid_message, std::move(next.item.fault)).error(),
                                  context.id, context.type, next.item.channel));
  if (next.ends_malformed) note_malformed(connection, session, now);
}

// Subscribing again is asked for when its answer can go out as soon as it comes: what is delivered while it
// waited for earlier ones would be newer than the state that it tells. (And whether the subscription stands
// is not known before it is answered.)
bool Sessions::must_wait(const Session& session, const SharedName& channel) const {
  if (!session.replies || session.replies->empty()) return false;
  const Handle replica = replicas_.find({session.tenant, channel});
  return replica && std::ranges::any_of(session.subscriptions, [&](const Subscription& subscription) {
           return subscription.replica == replica;
         });
}

// Every authenticated connection follows its user's inbox, unless it wants to do so itself (protocol §7).
void Sessions::follow_inbox(Handle connection, Session& session, const Time& now) {
  const Namespace* ns = namespaces_.find(kInboxNamespace);
  if (session.manual_inbox || session.identity == nullptr || ns == nullptr || ns->kind != Kind::inbox) return;
  Context context{.connection = connection, .session = session, .now = now, .id = {}, .type = "subscribe"};
  const SharedName& channel = session.identity->user_id.inbox();
  if (!protocol::is_valid_channel(channel)) return;
  const Admission own{.ns = ns, .rights = {.server = false, .subscribe = true, .publish = false}};
  subscribe_one(context, {.channel = channel, .since = {}, .history = {}}, own, Following::automatic);
}

void Sessions::subscribe_one(Context& context, protocol::SubscribeItem&& item) {
  Session& session = context.session;
  const auto admission = admit(namespaces_, caller_of(session), auth::Action::subscribe, item.channel);
  if (!admission) return refuse(context, admission.error(), item.channel);
  if (item.presence && !admission->ns->presence)
    return refuse(context, fail(ErrorCode::forbidden, "presence is off in this namespace").error(),
                  item.channel);
  subscribe_one(context, std::move(item), *admission, Following::asked);
}

void Sessions::subscribe_one(Context& context, protocol::SubscribeItem&& item, const Admission& admission,
                             Following following) {
  Session& session = context.session;
  ChannelKey key{session.tenant, std::move(item.channel)};
  Handle handle = replicas_.find(key);
  Subscription* existing = handle ? session.find_replica(handle) : nullptr;
  if (existing == nullptr && following == Following::asked &&
      session.subscriptions.size() >= tenant_of(session).limits.channels)
    return refuse(context, fail(ErrorCode::channel_limit).error(), key.name);
  if (!handle) handle = replicas_.emplace(key, *admission.ns, home_of(key));
  Replica& replica = *replicas_.get(handle);

  if (existing == nullptr) {
    Subscription& added = session.subscriptions.emplace_back();
    added.replica = handle;
    added.number = session.next_subscription++;
    ++replica.subscriptions;
    ++counts_of(session.tenant).subscriptions;
  }
  Subscription& subscription = existing != nullptr ? *existing : session.subscriptions.back();
  if (item.presence && !subscription.presence) {
    subscription.presence = true;
    if (subscription.state != Subscription::State::joining)
      replica.subscribers[subscription.place].presence = true;
  }
  post_(replica.home_shard,
        SubscribeCommand{
            .channel = std::move(key),
            .reply = reserve(context, ReplySize::large),
            .follower = handle,
            .subscription = subscription.number,
            .again = existing != nullptr,
            .presence = item.presence,
            .snapshot = item.snapshot,
            .automatic = following == Following::automatic,
            .since = std::move(item.since),
            .history = item.history,
            .author = following == Following::automatic ? nullptr : author_of(context.connection, session),
            .rights = admission.rights});
}

void Sessions::handle(SubscribeResult&& result, const Time&) {
  const std::string id = request_id_of(result.reply);
  Session* session = find(result.reply.target);
  Subscription* subscription = session == nullptr ? nullptr : session->find(result.subscription);
  if (!result.result) {
    if (subscription != nullptr && !subscription->counted)
      end_subscription(result.reply.target, *session, *subscription);
    return complete_refused(result.reply, result.result.error(), "subscribe", result.channel.name);
  }
  const SubscribedState& state = *result.result;
  protocol::MessageWriter answer("subscribed", id);
  answer.text("channel", result.channel.name)
      .text("kind", name_of(state.kind))
      .text("epoch", state.epoch)
      .number("seq", state.seq);
  if (state.recovered) answer.boolean("recovered", *state.recovered);
  if (!state.reason.empty()) answer.text("reason", state.reason);
  answer.json("messages", protocol::messages_array(state.messages));
  if (state.snapshot)
    answer.json(
        "snapshot",
        protocol::MessageWriter().number("seq", state.seq).json("data", state.snapshot.view()).finish());
  if (state.members) answer.json("members", *state.members);

  if (Replica* replica = replicas_.get(result.follower)) {
    // To whom is there already, what is older than the answer goes before it.
    if (result.again && replica->turn) flush(result.follower, *replica);
    replica->home = state.home;
    // Deliveries up to here went to those who were there; the newcomer has what it needs of them.
    replica->seq = state.shown;
  }
  std::uint32_t activates = 0;
  if (!result.again && subscription == nullptr) {
    // It has ended meanwhile, and the home has just begun to count it. A member that has unsubscribed is
    // to find in its inbox what comes behind the answer.
    const bool is_member = session != nullptr && state.kind == Kind::session;
    const ShardId home = home_of(result.channel);
    post_(home, UnsubscribeCommand{.channel = std::move(result.channel),
                                   .follower = result.follower,
                                   .session = result.reply.target,
                                   .subscription = result.subscription,
                                   .lacks_from = is_member ? state.next_seq : 0});
  } else if (!result.again) {
    subscription->counted = true;
    subscription->needs.set_next_seq(state.next_seq);
    if (state.backlog) subscription->needs.more().backlog = state.backlog;
    activates = subscription->number;
  }
  std::string json = answer.finish();
  if (session != nullptr && session->to_subscribe) {
    std::uint32_t& window = session->to_subscribe->window;
    window =
        json.size() <= kShortAnswer ? std::min(2 * window, ToSubscribe::kWindowMax) : ToSubscribe::kWindowMin;
  }
  complete(result.reply, std::move(json), activates, state.members ? result.follower : Handle{});
}

}  // namespace tidewire::hub
