#include "kinds/session.h"

#include <algorithm>

#include "base/check.h"
#include "protocol/message_writer.h"

namespace tidewire::kinds {

namespace {

using Kind = SessionAction::Kind;

std::unexpected<Error> refuse(const Asker& asker, std::string why) {
  return fail(asker.user_id.empty() ? ErrorCode::unauthorized : ErrorCode::forbidden, std::move(why));
}

}  // namespace

bool SessionChannel::is_message(const Event& event) {
  return event.seq != 0 && session_action_kind(event.name) == Kind::message;
}

bool SessionChannel::owned_by(std::string_view user_id) const {
  const auto found = people_.find(user_id);
  return found != people_.end() && found->second.member;
}

std::vector<std::string> SessionChannel::members_at(
    std::uint64_t seq, const std::function<bool(std::string_view user_id)>& wanted) const {
  std::vector<std::string> users;
  // Whoever joined later has read up to its join.
  for (const Leaver& leaver : leavers_)
    if (leaver.left > seq && leaver.read < seq && wanted(leaver.user_id)) users.push_back(leaver.user_id);
  for (const Member& member : members_)
    if (member.read < seq && wanted(member.user_id)) users.push_back(member.user_id);
  return users;
}

void SessionChannel::forget_leavers(std::uint64_t seq) {
  while (!leavers_.empty() && leavers_.front().left < seq) leavers_.pop_front();
}

bool SessionChannel::led_by(std::string_view user_id) const {
  return !members_.empty() && !user_id.empty() && members_.front().user_id == user_id;
}

Result<void> SessionChannel::admit(const Event& event, const Asker& asker) const {
  if (asker.server) return {};
  const Kind kind = session_action_kind(event.name);
  if (kind == Kind::join) return admit_join(event, asker);
  if (!asker.may_publish && !owned_by(asker.user_id))
    return refuse(asker, "only members publish to this session");
  if (kind == Kind::leave && !led_by(asker.user_id)) {
    const auto action = session_action_of(event);
    if (action && action->user.id != asker.user_id)
      return refuse(asker, "only the owner removes another member");
  }
  return {};
}

Result<void> SessionChannel::admit_join(const Event& event, const Asker& asker) const {
  if (asker.user_id.empty()) return refuse(asker, "a session is joined by a user");
  if (led_by(asker.user_id)) return {};
  // Whoever may join itself is told by take() what is wrong with data that names nobody.
  const auto action = session_action_of(event);
  if (action && action->user.id != asker.user_id)
    return refuse(asker, "only the owner adds another user to this session");
  if (!founded_ || asker.may_publish || options_.open_join || owned_by(asker.user_id)) return {};
  return refuse(asker, "the owner of this session adds its members");
}

Result<Taken> SessionChannel::take(const Event& event, const Asker& asker) {
  auto judged = judge(event, asker);
  if (!judged || event.seq == 0) return judged;
  SessionAction action = *session_action_of(event);
  apply(action, event);
  if (action.kind == Kind::leave) judged->leaver = std::move(action.user.id);
  return judged;
}

Result<Taken> SessionChannel::judge(const Event& event, const Asker& asker) const {
  if (event.form != Event::Form::data)
    return fail(ErrorCode::invalid_event, "a session channel takes `data` only");
  const auto action = session_action_of(event);
  if (!action) return std::unexpected(action.error());
  if (event.seq == 0) {
    if (action->kind != Kind::custom)
      return fail(ErrorCode::invalid_event, "a session keeps this event, so it can't be ephemeral");
    return Taken{};
  }
  if (event.name == "typing") return fail(ErrorCode::invalid_event, "`typing` is ephemeral only");
  if (auto fits = check(*action, event); !fits) return std::unexpected(std::move(fits.error()));
  if (auto allowed = permit(*action, asker); !allowed) return std::unexpected(std::move(allowed.error()));
  return Taken{};
}

void SessionChannel::replay(const Event& event) {
  if (event.seq <= last_seq_) return;
  const auto action = session_action_of(event);
  if (event.form == Event::Form::data && action && check(*action, event)) apply(*action, event);
  last_seq_ = event.seq;
}

// Whether the state has what the action speaks of; the same in a replay.
Result<void> SessionChannel::check(const SessionAction& action, const Event& event) const {
  switch (action.kind) {
    case Kind::edit:
    case Kind::remove:
      if (find_message(action.seq) == messages_.end())
        return fail(ErrorCode::invalid_event, fmt::format("there is no message {}", action.seq));
      return {};
    case Kind::read: {
      const Member* member = find_member(event.user_id);
      if (member == nullptr) return fail(ErrorCode::invalid_event, "only a member has a read position");
      if (action.seq > last_seq_)
        return fail(ErrorCode::invalid_event, fmt::format("the last seq is {}", last_seq_));
      if (action.seq < member->read)
        return fail(ErrorCode::invalid_event, fmt::format("{} is read already", member->read));
      return {};
    }
    case Kind::leave:
      if (!owned_by(action.user.id))
        return fail(ErrorCode::invalid_event, fmt::format("{} is not a member", action.user.json));
      return {};
    case Kind::message:
    case Kind::join:
    case Kind::custom:
      return {};
  }
  return {};
}

// What is asked of the author, or of the room there is, once and not again in a replay.
Result<void> SessionChannel::permit(const SessionAction& action, const Asker& asker) const {
  if (action.kind == Kind::edit || action.kind == Kind::remove) {
    const People::value_type* author = find_message(action.seq)->author;
    const bool own = author != nullptr && author->first == asker.user_id;
    if (!own && !asker.server && !led_by(asker.user_id))
      return refuse(asker, "a message is changed by its author or the session's owner");
  }
  if (action.kind == Kind::join && members_.size() >= options_.members_max && !owned_by(action.user.id))
    return fail(ErrorCode::invalid_event,
                fmt::format("a session has at most {} members", options_.members_max));
  return {};
}

void SessionChannel::apply(const SessionAction& action, const Event& event) {
  switch (action.kind) {
    case Kind::message:
      add_message(event);
      break;
    case Kind::remove:
      remove_message(find_message(action.seq));
      break;
    case Kind::read:
      read_up_to(*find_member(event.user_id), action.seq);
      break;
    case Kind::join:
      add_member(action.user, event.seq);
      break;
    case Kind::leave:
      remove_member(action.user.id, event.seq);
      break;
    case Kind::edit:
    case Kind::custom:
      break;
  }
  last_seq_ = event.seq;
}

void SessionChannel::add_message(const Event& event) {
  Message message{.seq = event.seq};
  if (!event.user_id.empty()) {
    message.author = &*people_.try_emplace(event.user_id).first;
    ++message.author->second.messages;
  }
  messages_.push_back(message);
  for (Member& member : members_)
    if (member.user_id != event.user_id) ++member.unread;
  while (messages_.size() > options_.messages_max) remove_message(messages_.begin());
}

void SessionChannel::remove_message(Messages::const_iterator at) {
  const Message message = *at;
  for (Member& member : members_) {
    if (member.read >= message.seq) continue;
    if (message.author == nullptr || member.user_id != message.author->first) --member.unread;
  }
  messages_.erase(at);
  if (message.author == nullptr) return;
  --message.author->second.messages;
  forget_if_unused(people_.find(message.author->first));
}

void SessionChannel::read_up_to(Member& member, std::uint64_t seq) {
  const auto by_seq = [](std::uint64_t wanted, const Message& message) { return wanted < message.seq; };
  const auto first = std::upper_bound(messages_.begin(), messages_.end(), member.read, by_seq);
  const auto last = std::upper_bound(first, messages_.end(), seq, by_seq);
  const People::value_type* self = &*people_.find(member.user_id);
  member.unread -= static_cast<std::uint64_t>(
      std::count_if(first, last, [&](const Message& message) { return message.author != self; }));
  member.read = seq;
}

void SessionChannel::add_member(const NamedUser& user, std::uint64_t seq) {
  Person& person = people_[user.id];
  if (person.member) return;
  person.member = founded_ = true;
  members_.push_back(
      {.user_id = user.id, .user_json = user.json, .owner = members_.empty(), .read = seq, .unread = 0});
}

void SessionChannel::remove_member(std::string_view user_id, std::uint64_t seq) {
  const auto member = std::ranges::find(members_, user_id, &Member::user_id);
  leavers_.push_back({.user_id = member->user_id, .read = member->read, .left = seq});
  members_.erase(member);
  if (!members_.empty()) members_.front().owner = true;
  const auto person = people_.find(user_id);
  person->second.member = false;
  forget_if_unused(person);
}

void SessionChannel::forget_if_unused(People::iterator person) {
  if (!person->second.member && person->second.messages == 0) people_.erase(person);
}

SessionChannel::Messages::const_iterator SessionChannel::find_message(std::uint64_t seq) const {
  const auto found = std::ranges::lower_bound(messages_, seq, {}, &Message::seq);
  return found != messages_.end() && found->seq == seq ? found : messages_.end();
}

const SessionChannel::Member* SessionChannel::find_member(std::string_view user_id) const {
  if (!owned_by(user_id)) return nullptr;
  const auto found = std::ranges::find(members_, user_id, &Member::user_id);
  TIDEWIRE_CHECK(found != members_.end());
  return &*found;
}

SessionChannel::Member* SessionChannel::find_member(std::string_view user_id) {
  return const_cast<Member*>(std::as_const(*this).find_member(user_id));
}

std::string SessionChannel::snapshot(std::int64_t) const {
  std::string list = "[";
  for (const Member& member : members_) {
    if (list.size() > 1) list += ',';
    list += protocol::MessageWriter()
                .json("user", member.user_json)
                .text("role", member.owner ? "owner" : "member")
                .number("read", member.read)
                .number("unread", member.unread)
                .finish();
  }
  list += ']';
  return protocol::MessageWriter().json("members", list).number("last_seq", last_seq_).finish();
}

}  // namespace tidewire::kinds
