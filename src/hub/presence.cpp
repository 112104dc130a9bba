#include "hub/presence.h"

#include <algorithm>
#include <iterator>
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
  const auto found = places_.find(scope);
  return found == places_.end() ? nullptr : &*found->second;
}

Presence::Outcome Presence::take_out(Place place) {
  Outcome outcome{Change::leave, json_of(*place)};
  data_bytes_ -= place->data.size();
  places_.erase(place->scope);
  members_.erase(place);
  return outcome;
}

void Presence::say(Member& member, const std::string& data) {
  data_bytes_ += data.size();
  data_bytes_ -= member.data.size();
  member.data = data;
}

bool Presence::fits(const Author& author, const std::optional<std::string>& data) const {
  if (!data) return true;
  const auto found = places_.find(author.scope);
  const std::size_t before = found == places_.end() ? 0 : found->second->data.size();
  return data->size() <= before || data_bytes_ - before + data->size() <= kDataBytesMax;
}

Presence::Outcome Presence::enter(const Author& author, const std::optional<std::string>& data,
                                  std::int64_t now_ms, bool by_right) {
  Member* member = find(author.scope);
  if (member == nullptr) {
    members_.push_back({.scope = author.scope,
                        .user_json = author.user_json,
                        .data = {},
                        .since_ms = now_ms,
                        .connections = {{author.connection, by_right}}});
    places_.emplace(members_.back().scope, std::prev(members_.end()));
    if (data) say(members_.back(), *data);
    return {Change::enter, json_of(members_.back())};
  }
  member->leaves_at_ms = 0;
  member->drop(author.connection);
  member->connections.push_back({author.connection, by_right});
  if (!data || *data == member->data) return {};
  say(*member, *data);
  return {Change::update, json_of(*member)};
}

std::optional<Presence::Outcome> Presence::update(const Author& author,
                                                  const std::optional<std::string>& data) {
  Member* member = find(author.scope);
  if (member == nullptr || !member->has(author.connection)) return std::nullopt;
  if (!data || *data == member->data) return Outcome{};
  say(*member, *data);
  return Outcome{Change::update, json_of(*member)};
}

Presence::Outcome Presence::leave(const Author& author) {
  const auto found = places_.find(author.scope);
  if (found == places_.end()) return {};
  Member& member = *found->second;
  if (member.drop(author.connection) == 0 || !member.connections.empty()) return {};
  return take_out(found->second);
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
  for (Place next = members_.begin(); next != members_.end();) {
    const Place place = next++;
    Member& member = *place;
    if (member.scope.starts_with('u') && owns(std::string_view(member.scope).substr(1))) continue;
    const auto gone = std::erase_if(member.connections, [](const Link& link) { return !link.by_right; });
    if (gone == 0 || !member.connections.empty()) continue;
    out.push_back(take_out(place));
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
  const auto found = places_.find(scope);
  if (found == places_.end() || found->second->leaves_at_ms == 0 || found->second->leaves_at_ms > now_ms)
    return {};
  return take_out(found->second);
}

std::string Presence::members_json() const {
  constexpr std::size_t kOfOne = 160;  // about, without its data
  std::string out;
  out.reserve(data_bytes_ + kOfOne * members_.size() + 2);
  out = "[";
  for (const Member& member : members_) {
    if (out.size() > 1) out += ',';
    append_json(out, member);
  }
  out += ']';
  return out;
}

void Presence::append_json(std::string& out, const Member& member) {
  out += "{\"user\":";
  out += member.user_json;
  out += ",\"connections\":";
  append_json_int(out, member.connections.size());
  out += ",\"data\":";
  out += member.data.empty() ? std::string_view("null") : std::string_view(member.data);
  out += ",\"since\":";
  append_json_int(out, member.since_ms);
  out += '}';
}

std::string Presence::json_of(const Member& member) {
  std::string out;
  append_json(out, member);
  return out;
}

}  // namespace tidewire::hub
