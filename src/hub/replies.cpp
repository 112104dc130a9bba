// The order of answers (protocol §4): replies of one connection leave in the order of its requests,
// also where some of them come from other shards.

#include <algorithm>

#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

void Sessions::reply(Handle connection, Session& session, std::string json) {
  if (!session.replies || session.replies->empty()) return outbound_.send(connection, json);
  session.replies->push_back({.slot = session.next_slot++,
                              .activates = 0,
                              .ready = true,
                              .large = false,
                              .id = {},
                              .json = std::move(json)});
}

void Sessions::refuse(Context& context, const Error& error, std::string_view channel) {
  watch_failure(context.session, error, channel);
  reply(context, protocol::error_message(error, context.id, context.type, channel));
}

void Sessions::complete_refused(const ReplyTo& to, const Error& error, std::string_view request,
                                std::string_view channel) {
  if (Session* session = find(to.target)) watch_failure(*session, error, channel);
  complete(to, protocol::error_message(error, request_id_of(to), request, channel));
}

ReplyTo Sessions::reserve(Context& context, ReplySize size) {
  Session& session = context.session;
  if (!session.replies) session.replies = std::make_unique<Ring<PendingReply>>();
  const std::uint32_t slot = session.next_slot++;
  const bool large = size == ReplySize::large;
  if (large) ++session.large_replies;
  session.replies->push_back({.slot = slot,
                              .activates = 0,
                              .ready = false,
                              .large = large,
                              .id = std::string(context.id),
                              .json = {}});
  return {.kind = ReplyTo::Kind::session, .target = context.connection, .slot = slot};
}

namespace {
PendingReply* find_slot(Session& session, std::uint32_t slot) {
  if (!session.replies || session.replies->empty()) return nullptr;
  // Slots are consecutive, so the place follows from the number.
  const std::uint32_t place = slot - session.replies->front().slot;
  return place < session.replies->size() ? &(*session.replies)[place] : nullptr;
}
}  // namespace

PendingReply* Sessions::pending_reply(const ReplyTo& to) {
  Session* session = find(to.target);
  return session == nullptr ? nullptr : find_slot(*session, to.slot);
}

std::string Sessions::request_id_of(const ReplyTo& to) {
  const PendingReply* pending = pending_reply(to);
  return pending == nullptr ? std::string() : pending->id;
}

void Sessions::complete(const ReplyTo& to, std::string json, std::uint32_t activates, Handle lists) {
  Session* session = find(to.target);
  PendingReply* pending = session == nullptr ? nullptr : find_slot(*session, to.slot);
  if (pending == nullptr) return;
  pending->ready = true;
  pending->json = std::move(json);
  pending->activates = activates;
  if (const Replica* replica = replicas_.get(lists)) {
    pending->lists = lists;
    pending->presence_events = replica->presence_events;
  }
  while (!session->replies->empty() && session->replies->front().ready) {
    const std::uint32_t goes_live = session->replies->front().activates;
    if (session->replies->front().large) --session->large_replies;
    const Handle listed = session->replies->front().lists;
    const std::uint32_t events_then = session->replies->front().presence_events;
    outbound_.send(to.target, session->replies->front().json);
    session->replies->pop_front();
    if (goes_live != 0) activate(to.target, *session, goes_live);
    // While the reply waited for earlier ones its list has become old, and what made it so was told
    // before it, or to nobody.
    const Replica* replica = replicas_.get(listed);
    if (replica == nullptr || replica->presence_events == events_then) continue;
    const Subscription* subscription = session->find_replica(listed);
    if (subscription != nullptr && subscription->presence) ask_members(to.target, *replica);
  }
}

}  // namespace tidewire::hub
