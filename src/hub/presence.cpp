#include "hub/presence.h"

#include <algorithm>
#include <utility>

#include "base/json_text.h"

namespace tidewire::hub {

bool Presence::Member::has(std::uint64_t connection) const {
  return std::ranges::find(connections, connection, &Link::connection) != connections.end();
}

std::size_t Presence::Member::drop(std::uint64_t connection) {
  return std::erase_if(connections, [&](const Link& link) { return link.connection == connection; });
}

Presence::Member* Presence::find(std::string_view scope) {
  const auto found = std::ranges::find(members_, scope, &Member::scope);
  return found == members_.end() ? nullptr : &*found;
}

void Presence::erase(const Member& member) { members_.erase(members_.begin() + (&member - members_.data())); }

Presence::Outcome Presence::enter(const Author& author, const std::optional<std::string>& data,
                                  std::int64_t now_ms, bool by_right) {
  Member* member = find(author.scope);
  if (member == nullptr) {
    members_.push_back({.scope = author.scope,
                        .user_json = author.user_json,
                        .data = data.value_or(""),
                        .since_ms = now_ms,
                        .connections = {{author.connection, by_right}}});
    return {Change::enter, json_of(members_.back())};
  }
  member->leaves_at_ms = 0;
  member->drop(author.connection);
  member->connections.push_back({author.connection, by_right});
  if (!data || *data == member->data) return {};
  member->data = *data;
  return {Change::update, json_of(*member)};
}

std::optional<Presence::Outcome> Presence::update(const Author& author,
                                                  const std::optional<std::string>& data) {
  Member* member = find(author.scope);
  if (member == nullptr || !member->has(author.connection)) return std::nullopt;
  if (!data || *data == member->data) return Outcome{};
  member->data = *data;
  return Outcome{Change::update, json_of(*member)};
}

Presence::Outcome Presence::leave(const Author& author) {
  Member* member = find(author.scope);
  if (member == nullptr) return {};
  if (member->drop(author.connection) == 0 || !member->connections.empty()) return {};
  Outcome outcome{Change::leave, json_of(*member)};
  erase(*member);
  return outcome;
}

std::vector<Presence::Outcome> Presence::become(const Author& before, const Author& after,
                                                std::int64_t now_ms, bool by_right) {
  Member* member = find(before.scope);
  if (member == nullptr || !member->has(before.connection)) return {};
  if (before.scope == after.scope) {
    Outcome outcome = enter(after, std::nullopt, now_ms, by_right);
    // A renewed token may say another type.
    if (std::exchange(member->user_json, after.user_json) != after.user_json)
      outcome = {Change::update, json_of(*member)};
    return {std::move(outcome)};
  }
  std::optional<std::string> data;
  if (!member->data.empty()) data = member->data;
  Outcome left = leave(before);
  return {std::move(left), enter(after, data, now_ms, by_right)};
}

std::vector<Presence::Outcome> Presence::expel(const std::function<bool(std::string_view)>& owns) {
  std::vector<Outcome> out;
  for (std::size_t i = members_.size(); i-- > 0;) {
    Member& member = members_[i];
    if (member.scope.starts_with('u') && owns(std::string_view(member.scope).substr(1))) continue;
    const auto gone = std::erase_if(member.connections, [](const Link& link) { return !link.by_right; });
    if (gone == 0 || !member.connections.empty()) continue;
    out.push_back({Change::leave, json_of(member)});
    erase(member);
  }
  return out;
}

std::optional<std::int64_t> Presence::depart(const Author& author, std::int64_t now_ms,
                                             std::int64_t grace_ms) {
  Member* member = find(author.scope);
  if (member == nullptr) return std::nullopt;
  if (member->drop(author.connection) == 0 || !member->connections.empty()) return std::nullopt;
  member->leaves_at_ms = now_ms + std::max<std::int64_t>(grace_ms, 1);
  return member->leaves_at_ms;
}

Presence::Outcome Presence::expire(std::string_view scope, std::int64_t now_ms) {
  Member* member = find(scope);
  if (member == nullptr || member->leaves_at_ms == 0 || member->leaves_at_ms > now_ms) return {};
  Outcome outcome{Change::leave, json_of(*member)};
  erase(*member);
  return outcome;
}

std::string Presence::members_json() const {
  std::string out = "[";
  for (const Member& member : members_) {
    if (out.size() > 1) out += ',';
    out += json_of(member);
  }
  out += ']';
  return out;
}

std::string Presence::json_of(const Member& member) {
  std::string out = "{\"user\":" + member.user_json + ",\"connections\":";
  append_json_int(out, member.connections.size());
  out += ",\"data\":" + (member.data.empty() ? "null" : member.data);
  out += ",\"since\":";
  append_json_int(out, member.since_ms);
  out += '}';
  return out;
}

}  // namespace tidewire::hub
