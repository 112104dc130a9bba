// The order of answers (protocol §4): replies of one connection leave in the order of its requests,
// also where some of them come from other shards.

#include <algorithm>
#include <utility>

#include "hub/sessions.h"
#include "protocol/message_writer.h"

namespace tidewire::hub {

void Sessions::reply(Handle connection, Session& session, std::string json, std::int64_t asked_us) {
  if (!session.replies || session.replies->empty()) {
    if (asked_us != 0) ++answered_at_once_;
    return outbound_.send(connection, json);
  }
  session.replies->push_back({.slot = session.next_slot++,
                              .activates = 0,
                              .asked_us = asked_us,
                              .ready = true,
                              .large = false,
                              .id = {},
                              .json = std::move(json)});
}

void Sessions::refuse(Context& context, const Error& error, std::string_view channel) {
  // What the server lacks is not the connection's fault.
  if (error.code != ErrorCode::unavailable && error.code != ErrorCode::internal)
    context.session.health.note_error();
  if (error.code == ErrorCode::rate_limited && is_held(context.session, context.now.mono_ms()))
    context.session.activity.take_back(context.bytes);
  else
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
  if (!session.replies && spare_replies_.empty()) {
    session.replies = std::make_unique<Ring<PendingReply>>();
  } else if (!session.replies) {
    session.replies = std::move(spare_replies_.back());
    spare_replies_.pop_back();
  }
  const std::uint32_t slot = session.next_slot++;
  const bool large = size == ReplySize::large;
  if (large) ++session.large_replies;
  session.replies->push_back({.slot = slot,
                              .activates = 0,
                              .asked_us = context.now.mono_us,
                              .ready = false,
                              .large = large,
                              .id = std::string(context.id),
                              .json = {}});
  return {.kind = ReplyTo::Kind::session, .target = context.connection, .slot = slot};
}

// A session that waits for nothing needs no ring; a few are kept for the next ones.
void Sessions::retire_replies(Session& session) {
  constexpr std::size_t kSpare = 64;
  if (spare_replies_.size() < kSpare) spare_replies_.push_back(std::move(session.replies));
  session.replies.reset();
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
    if (session->replies->front().asked_us != 0) answered_us_.push_back(session->replies->front().asked_us);
    session->replies->pop_front();
    if (goes_live != 0) activate(to.target, *session, goes_live);
    // While the reply waited for earlier ones its list has become old, and what made it so was told
    // before it, or to nobody.
    const Replica* replica = replicas_.get(listed);
    if (replica == nullptr || replica->presence_events == events_then) continue;
    const Subscription* subscription = session->find_replica(listed);
    if (subscription != nullptr && subscription->presence) ask_members(to.target, *replica);
  }
  if (!session->replies->empty()) return;
  retire_replies(*session);
  if (session->extras && session->extras->ends_with)
    end(to.target, *session, 1008, name_of(*session->extras->ends_with));
}

void Sessions::end_turn(const Time& now, std::int64_t elapsed_us) {
  if (answered_at_once_ > 0) recent_.note_request(elapsed_us, std::exchange(answered_at_once_, 0));
  for (const std::int64_t asked_us : answered_us_) recent_.note_request(now.mono_us - asked_us + elapsed_us);
  answered_us_.clear();
}

}  // namespace tidewire::hub
