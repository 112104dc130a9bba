#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

// One `subscribed` or `error` per channel, in order (protocol §4 `subscribe`).
void Sessions::carry_out(Context& context, protocol::SubscribeRequest&& request) {
  for (protocol::SubscribeItem& item : request.channels) subscribe_one(context, std::move(item));
}

void Sessions::subscribe_one(Context& context, protocol::SubscribeItem&& item) {
  Session& session = context.session;
  const auto ns = admit(namespaces_, caller_of(session), auth::Action::subscribe, item.channel);
  if (!ns) return refuse(context, ns.error(), item.channel);
  if (item.presence && !(*ns)->presence)
    return refuse(context, fail(ErrorCode::forbidden, "presence is off in this namespace").error(),
                  item.channel);

  ChannelKey key{session.tenant, std::move(item.channel)};
  auto place = replica_by_name_.find(key);
  Subscription* existing = place == replica_by_name_.end() ? nullptr : session.find_replica(place->second);
  if (existing == nullptr && session.subscriptions.size() >= tenant_of(session).limits.channels)
    return refuse(context, fail(ErrorCode::channel_limit).error(), key.name);
  if (place == replica_by_name_.end())
    place = replica_by_name_.emplace(key, replicas_.emplace(key, **ns, home_of(key))).first;
  Replica& replica = *replicas_.get(place->second);

  if (existing == nullptr) {
    session.subscriptions.push_back({.replica = place->second, .number = session.next_subscription++});
    ++replica.subscriptions;
    ++counts_.subscriptions;
  }
  Subscription& subscription = existing != nullptr ? *existing : session.subscriptions.back();
  if (item.presence && !subscription.presence) {
    subscription.presence = true;
    if (subscription.state != Subscription::State::joining)
      replica.subscribers[subscription.place].presence = true;
  }
  post_(replica.home_shard, SubscribeCommand{.channel = std::move(key),
                                             .reply = reserve(context, ReplySize::large),
                                             .follower = place->second,
                                             .subscription = subscription.number,
                                             .again = existing != nullptr,
                                             .presence = item.presence,
                                             .snapshot = item.snapshot,
                                             .since = std::move(item.since),
                                             .history = item.history});
}

void Sessions::handle(SubscribeResult&& result, const Time&) {
  const std::string id = request_id_of(result.reply);
  Session* session = find(result.reply.target);
  Subscription* subscription = session == nullptr ? nullptr : session->find(result.subscription);
  if (!result.result) {
    if (subscription != nullptr && !subscription->counted)
      end_subscription(result.reply.target, *session, *subscription);
    return complete(result.reply,
                    protocol::error_message(result.result.error(), id, "subscribe", result.channel.name));
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
  if (state.members) answer.json("members", *state.members);

  if (Replica* replica = replicas_.get(result.follower)) {
    replica->home = state.home;
    // Deliveries up to here went to those who were there; the newcomer has what it needs of them.
    replica->seq = state.seq;
  }
  std::uint32_t activates = 0;
  if (!result.again && subscription == nullptr) {
    // It has ended meanwhile, and the home has just begun to count it.
    const ShardId home = home_of(result.channel);
    post_(home, UnsubscribeCommand{.channel = std::move(result.channel), .follower = result.follower});
  } else if (!result.again) {
    subscription->counted = true;
    subscription->next_seq = state.next_seq;
    activates = subscription->number;
  }
  complete(result.reply, answer.finish(), activates, state.members ? result.follower : Handle{});
}

}  // namespace tidewire::hub
