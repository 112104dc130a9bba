// What one connection of a client has been told about its channels, checked against the model as it
// comes: order, bodies, gaps, recovery (protocol §4 `subscribe`, §5).
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "hub/types.h"
#include "kind_state.h"

namespace tidewire::sim {

class World;
struct Life;

// What a `subscribe` asked for, and when.
struct SubscribeAsked {
  std::string channel;
  std::optional<hub::Position> since;
  std::optional<std::uint64_t> history;
  bool presence = false;
  bool snapshot = true;
  bool automatic = false;  // by the server itself
  std::string user = "null";
  std::int64_t at_us = 0;
};

class ClientView {
 public:
  using Json = nlohmann::json;
  ClientView(World& world, std::string who) : world_(&world), who_(std::move(who)) {}

  void connected(std::uint64_t connection_id) { connection_id_ = connection_id; }
  // `sent_us` is when the server wrote it.
  void on_subscribed(const Json& message, const SubscribeAsked& asked, std::int64_t sent_us);
  void on_unsubscribed(const std::string& channel);
  // The server has ended it: the user, as JSON, was taken out of a session.
  void on_revoked(const std::string& channel, const std::string& user, std::int64_t sent_us);
  void on_snapshot(const Json& message, std::int64_t sent_us);
  void on_acked(const Json& message);
  void on_message(const Json& message, std::string_view raw);
  void on_gap(const Json& message, std::int64_t sent_us);
  // `asked`: a request for them is under way.
  void on_presence_event(const Json& message, bool asked);
  void on_members(const Json& message, bool asked);  // a list that nobody asked for
  void on_history(const Json& message, const Json& asked, std::int64_t asked_us, std::int64_t sent_us) const;

  bool subscribed(const std::string& channel) const { return readings_.contains(channel); }
  const auto& positions() const { return positions_; }
  // What stays when a connection ends: positions, and copies of what channels fold to.
  void keep(ClientView&& before);
  std::vector<std::string> inboxes() const;
  // Entries of an inbox that it has seen, and no ack of them.
  std::vector<std::uint64_t> pending(const std::string& channel) const;
  std::vector<std::string> channels() const;

  // Everything has come to rest: each subscription must have all there is.
  void check_settled(const std::string& user) const;
  // Who is in the channel as this client knows it; nullopt when it does not follow presence there.
  std::optional<std::set<std::string>> members(const std::string& channel) const;

 private:
  struct Reading {
    std::string epoch;
    std::uint64_t subscribed_seq = 0;
    std::optional<std::uint64_t> next;  // nullopt: starts between the two below
    std::uint64_t low = 0, high = 0;
    std::optional<std::set<std::string>> members;
    std::map<std::string, std::uint64_t> ephemeral = {};  // the last one's number, by connection
    std::optional<KindState> copy = {};                   // of a channel that folds, while it is complete
    std::set<std::uint64_t> pending = {};                 // of an inbox
    bool knows_pending = false;                           // all of them, once its backlog is through
    std::optional<KindState::InboxEntry> backlog = {};    // the last one that came
    bool in_backlog = false;
  };
  void check_place(Reading& reading, const std::string& channel, const Json& message) const;
  struct Copy {
    std::string epoch;
    KindState state;
  };
  void keep_copy(const std::string& channel, const Reading& reading);
  void begin_kind(const Json& message, const SubscribeAsked& asked, std::int64_t sent_us, const Life& life,
                  Reading& reading);
  void check_access(const SubscribeAsked& asked, std::int64_t sent_us, const Life& life) const;
  void check_snapshot(const Life& life, const std::string& channel, std::uint64_t seq, const Json& data,
                      std::int64_t from_us, std::int64_t to_us) const;
  void fold(const Life& life, const std::string& channel, Reading& reading, const Json& message);
  void on_backlog(const Life& life, const std::string& channel, Reading& reading, const Json& message);
  void check_pending(const Life& life, const std::string& channel, const Reading& reading) const;
  Reading& reading(const Json& message, std::string_view type);
  // Published by this connection without echo: may be left out, and must be from the subscription on.
  bool own(const Life& life, std::uint64_t seq) const;
  void reach(const Life& life, Reading& reading, const std::string& channel, std::uint64_t seq,
             std::string_view what);
  void check_body(const Life& life, const std::string& channel, const Json& message) const;
  void advance(Reading& reading, const std::string& channel, std::uint64_t next);

  World* world_;
  std::string who_;
  std::uint64_t connection_id_ = 0;
  std::map<std::string, Reading> readings_;
  std::map<std::string, hub::Position> positions_;
  std::map<std::string, Copy> copies_;
};

}  // namespace tidewire::sim
