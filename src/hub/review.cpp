// What a connection was let into ends where it would be refused now (protocol §5 `unsubscribed`): after an
// `auth`, since a token may say less than the one before it, and after a reload of the rules. What belongs
// to a channel's owner is decided at its home, as for a new subscription.

#include <algorithm>

#include "hub/home.h"
#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

namespace {
// A connection follows its user's inbox without asking, and so whatever the rule says (follow_inbox()).
bool follows_by_itself(const Session& session, const Replica& replica) {
  return !session.manual_inbox && session.identity != nullptr &&
         replica.key.name == session.identity->user_id.inbox();
}
}  // namespace

void Sessions::review(Handle connection, Session& session) {
  review_subscriptions(connection, session);
  review_presence(connection, session);
}

void Sessions::pass_reviews() {
  for (std::size_t looked_at = 0; review_next_ < sessions_.slots() && looked_at < kReviewSlice;) {
    const std::size_t index = review_next_++;
    Session* session = sessions_[index];
    ++looked_at;
    if (session == nullptr || session->closing) continue;
    looked_at += session->subscriptions.size();
    review({static_cast<std::uint32_t>(index), session->generation}, *session);
  }
  if (review_next_ >= sessions_.slots()) review_next_ = std::numeric_limits<std::size_t>::max();
}

void Sessions::review_subscriptions(Handle connection, Session& session) {
  // Backwards, since one that ends leaves its place to the last one.
  for (std::size_t i = session.subscriptions.size(); i-- > 0;) {
    Subscription& subscription = session.subscriptions[i];
    const Replica& replica = *replicas_.get(subscription.replica);
    const auto admission = admit(namespaces_, caller_of(session), auth::Action::subscribe, replica.key.name);
    if (!admission) {
      if (follows_by_itself(session, replica)) continue;
      const std::string channel(replica.key.name);
      end_subscription(connection, session, subscription);
      // Behind its `subscribed`, should that still wait for earlier replies.
      reply(
          connection, session,
          protocol::MessageWriter("unsubscribed").text("channel", channel).text("code", "revoked").finish());
      want_page(connection, session);
    } else if (!admission->rights.subscribe || admission->ns->kind == Kind::session) {
      post_(replica.home_shard, ReviewCommand{.channel = replica.key,
                                              .author = author_of(connection, session),
                                              .rights = admission->rights,
                                              .session = connection,
                                              .follower = subscription.replica,
                                              .subscription = subscription.number});
    }
  }
}

void Sessions::review_presence(Handle connection, Session& session) {
  if (!session.extras) return;
  const std::shared_ptr<const Author> author = author_of(connection, session);
  std::erase_if(session.extras->entered, [&](Entered& entered) {
    const auto admission =
        admit(namespaces_, caller_of(session), auth::Action::presence, entered.channel.name);
    const bool is_same =
        entered.author->scope == author->scope && entered.author->user_json == author->user_json;
    if (admission && is_same && admission->rights.subscribe && admission->ns->kind != Kind::session)
      return false;
    const ShardId home = home_of(entered.channel);
    post_(home, ReviewCommand{.channel = entered.channel,
                              .author = admission ? author : nullptr,
                              .rights = admission ? admission->rights : Rights{},
                              .entered = std::exchange(entered.author, author),
                              .session = connection});
    // Of what it causes itself it gets no events, so its list comes anew.
    const Handle replica = replicas_.find(entered.channel);
    const Subscription* subscription = replica ? session.find_replica(replica) : nullptr;
    if (admission && !is_same && subscription != nullptr && subscription->presence)
      ask_members(connection, *replicas_.get(replica));
    return !admission;
  });
}

void Home::handle(ShardId from, ReviewCommand&& command, const Time& now) {
  Handle handle = channels_.find(command.channel);
  if (!handle) return;
  Channel& channel = open(command.channel, now, &handle);
  if (channel.folded() && wait_for_log(handle, channel, from, command, now)) return;
  const bool allowed = command.author != nullptr && may_read(channel, command.author, command.rights);
  if (!channel.folded()) return review_presence(from, channel, command, allowed, now);
  // Behind what it is about, and resting on what can't fail any more.
  settle(channel, [=, this, command = std::move(command)](const Error* error) mutable {
    Channel& there = *channels_.get(handle);
    if (error != nullptr)
      return there.durable()->waiting.push_back({.from = from, .command = std::move(command)});
    review_presence(from, there, command, allowed, now);
    if (command.subscription != 0) review_reader(from, there, command, allowed);
  });
}

void Home::review_presence(ShardId from, Channel& channel, const ReviewCommand& command, bool allowed,
                           const Time& now) {
  if (command.entered && !allowed) {
    leave_presence(channel, *command.entered, {}, from);
  } else if (command.entered && channel.presence()) {
    for (const Presence::Outcome& outcome :
         channel.presence()->become(*command.entered, *command.author, now.unix_ms, command.rights.subscribe))
      tell_presence(channel, outcome, command.session, from);
  }
}

void Home::review_reader(ShardId from, Channel& channel, const ReviewCommand& command, bool allowed) {
  auto& readers = channel.folded()->readers;
  const auto reader = channel.folded()->find_reader(from, command.session, command.subscription);
  // Where its membership has ended it is ending, and gets what it had a right to.
  if (channel.kind == Kind::session && reader == readers.end()) return;
  if (!allowed) {
    post_(from, SubscriptionLost{.follower = command.follower,
                                 .session = command.session,
                                 .subscription = command.subscription,
                                 .code = "revoked"});
    if (reader != readers.end()) readers.erase(reader);
  } else if (reader != readers.end()) {
    reader->user_id = command.author->user_id;
    reader->by_right = command.rights.subscribe;
  }
}

// A subscription ends with the membership that it rested on, behind what came before, and so does being
// there. From now on nobody is here by it. The state may be ahead: who has come back since subscribes again,
// and who leaves later is still there.
void Home::revoke_readers(Channel& channel, std::string_view left) {
  const auto owns = [&](std::string_view user_id) { return user_id != left; };
  std::erase_if(channel.folded()->readers, [&](const Folded::Reader& reader) {
    if (reader.by_right || owns(reader.user_id)) return false;
    post_(reader.shard, SubscriptionLost{.follower = reader.follower,
                                         .session = reader.session,
                                         .subscription = reader.subscription,
                                         .code = "revoked",
                                         .up_to = channel.seq - 1});
    return true;
  });
  if (!channel.presence()) return;
  for (const Presence::Outcome& outcome : channel.presence()->expel(owns))
    tell_presence(channel, outcome, {}, 0);
  if (channel.presence()->empty()) channel.more().presence.reset();
}

void Home::leave_presence(Channel& channel, const Author& author, Handle skip, ShardId skip_shard) {
  if (!channel.presence()) return;
  tell_presence(channel, channel.presence()->leave(author), skip, skip_shard);
  if (channel.presence()->empty()) channel.more().presence.reset();
}

}  // namespace tidewire::hub
