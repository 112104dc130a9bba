// Who is in a channel (requirement K3): users, each counted once however many connections it has.
//
// Invariant: a member has at least one connection, or is waiting out its grace time after the last one
// closed, so that a page reload does not flap. Any number of members; what they say of themselves is
// bounded (kDataBytesMax), since everybody who asks for the list is told all of it. Pure; owned by the
// channel's home.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/types.h"

namespace tidewire::hub {

class Presence {
 public:
  // Of all members' data together.
  static constexpr std::size_t kDataBytesMax = std::size_t{8} << 20;

  Presence() = default;
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  // What others are told, if anything.
  enum class Change : std::uint8_t { none, enter, update, leave };
  struct Outcome {
    Change change = Change::none;
    std::string member;  // JSON of the member as it is now (on leave: as it was)
  };

  // Whether the member, present or not, may say this of itself. What is absent or not longer than before
  // always fits.
  bool fits(const Author& author, const std::optional<std::string>& data) const;
  // `data` is JSON, and fits; absent keeps what the member had. `by_right`: of a grant or rule, so that the
  // connection stays when its user does not own the channel any more.
  Outcome enter(const Author& author, const std::optional<std::string>& data, std::int64_t now_ms,
                bool by_right = true);
  // As enter(); nullopt when this connection has not entered.
  std::optional<Outcome> update(const Author& author, const std::optional<std::string>& data);
  Outcome leave(const Author& author);
  // The connection is another user from now on, or the same with other rights; nothing where it has not
  // entered as `before`. What others are told, in order.
  std::vector<Outcome> become(const Author& before, const Author& after, std::int64_t now_ms, bool by_right);
  // Takes out the connections that were there because the channel was their user's, where `owns` says that
  // it is not.
  std::vector<Outcome> expel(const std::function<bool(std::string_view user_id)>& owns);

  // The connection closed. If it was its user's last one, returns when to call expire() for the user.
  std::optional<std::int64_t> depart(const Author& author, std::int64_t now_ms, std::int64_t grace_ms);
  // Ends a grace time that is over by now.
  Outcome expire(std::string_view scope, std::int64_t now_ms);

  std::string members_json() const;
  bool empty() const { return members_.empty(); }

 private:
  struct Link {
    std::uint64_t connection = 0;
    bool by_right = true;
  };
  struct Member {
    std::string scope;
    std::string user_json;
    std::string data;  // JSON; empty: none
    std::int64_t since_ms = 0;
    std::int64_t leaves_at_ms = 0;  // 0: has connections
    std::vector<Link> connections;
    bool has(std::uint64_t connection) const;
    std::size_t drop(std::uint64_t connection);
  };
  using Place = std::list<Member>::iterator;
  Member* find(std::string_view scope);
  // What others are told of it; the member is gone.
  Outcome take_out(Place place);
  void say(Member& member, const std::string& data);
  static void append_json(std::string& out, const Member& member);
  static std::string json_of(const Member& member);

  std::list<Member> members_;                 // in the order of entering
  std::map<std::string_view, Place> places_;  // by their scopes
  std::size_t data_bytes_ = 0;                // of all members
};

}  // namespace tidewire::hub
