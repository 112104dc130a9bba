// One simulated shard: the hub's real Home, Sessions and Calls around a simulated gateway, log and
// mailbox. It works in turns like the server's: take what has come, run it to completion, hand over
// deliveries, write, tell who has drained, end who was closed.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "auth/verifier.h"
#include "hub/calls.h"
#include "hub/home.h"
#include "hub/sessions.h"
#include "model.h"

namespace tidewire::sim {

class World;
class Client;

// The server's end of a connection.
struct Connection {
  struct Frame {
    Handle channel;
    std::string text;
  };
  Client* client = nullptr;  // null: nobody is there any more
  std::uint64_t link = 0;    // the client's number for this connection
  std::uint64_t connection_id = 0;
  std::deque<std::string> input;  // not taken yet
  std::deque<Frame> begun;        // in the order of the wire
  std::deque<Frame> replies;
  std::array<std::deque<Frame>, hub::kLanes> lanes;
  std::size_t queued_bytes = 0;
  std::int64_t window_bytes = 0;  // what the socket takes at once
  std::size_t batch_max = 0;      // bytes of the largest batch that was taken
  std::size_t frames_max = 0;     // and the most messages
  bool stalled = false;
  bool touched = false;
  bool notify_drained = false;
  bool closing = false;
  std::uint16_t close_code = 0;
  std::string close_reason;
};

class Shard final : public hub::Outbound {
 public:
  Shard(World& world, hub::ShardId self);

  // What comes from outside; each leads to a turn a little later.
  void connect(Client& client, std::uint64_t link, std::string token, std::int64_t window_bytes,
               std::function<void(Handle)> connected);
  void arrive(Handle connection, std::string text);
  void reader_takes(Handle connection, std::int64_t bytes);  // the socket has room again
  void lose(Handle connection);
  void deliver(hub::ShardId from, std::vector<hub::Message>&& mail);
  void in_turn(std::function<void()> what);
  void tick();

  // The process ends: nothing happens here any more. What its log had to do is done in part.
  void die();

  hub::ShardId self() const { return self_; }
  hub::Home& home() { return home_; }
  hub::Sessions& sessions() { return sessions_; }
  hub::Calls& calls() { return calls_; }
  std::size_t connections() const { return connections_.size(); }

  // hub::Outbound
  void send(Handle connection, std::string_view json) override;
  bool push(Handle connection, protocol::DeliveryBatch& batch, std::size_t first, std::size_t last,
            Lane lane) override;
  void drop(Handle connection, Lane lane) override;
  void hurry(Handle connection, Lane lane) override;
  void notify_when_drained(Handle connection) override;
  void close(Handle connection, std::uint16_t code, std::string_view reason) override;
  void deadline_changed(Handle connection) override;
  void fetch_keys(hub::TenantId, std::string_view) override {}

 private:
  void wake();
  void turn();
  void end_turn();
  void post(hub::ShardId to, hub::Message&& message);
  void dispatch(hub::ShardId from, hub::Message&& message);
  void dispatch_local();
  void watch_home(hub::ShardId to, const hub::Message& message);
  void watch_delivery(hub::ShardId to, const hub::Delivery& delivery);
  void watch_log(const log::Outcome& outcome);
  void remember(hub::ShardId from, hub::PublishCommand& command);
  void remember(hub::ShardId from, const hub::AckCommand& command);
  void watch_answers();
  void watch_answer(hub::ShardId to, const hub::PublishResult& result);
  void watch_answer(hub::ShardId to, const hub::AckResult& result);
  void look_for_message(const std::string& channel);
  void look_for_orphans();
  void answer(hub::ShardId from, hub::Ask&& ask);
  void take_input(Connection& connection, Handle handle);
  void write(Connection& connection, Handle handle);
  void touch(Connection& connection, Handle handle);
  void submit(log::Operation&& operation);
  void log_works(std::vector<log::Operation>&& operations);
  void carry_out(log::Operation&& operation);
  void hand_out(std::vector<log::Outcome>&& outcomes, std::int64_t at_us);
  const hub::Namespace& rules_of(std::string_view channel) const;

  // Its home; what that posts is the truth that clients are checked against.
  struct WatchedHome {
    Shard& shard;
    template <class Body>
      requires requires(hub::Home& home, Body&& body, const Time& now) {
        home.handle({}, std::move(body), now);
      }
    void handle(hub::ShardId from, Body&& body, const Time& now) {
      std::string published_to;
      if constexpr (std::is_same_v<Body, hub::PublishCommand>) published_to = body.channel.name;
      constexpr bool kRemembered =
          std::is_same_v<Body, hub::PublishCommand> || std::is_same_v<Body, hub::AckCommand>;
      if constexpr (kRemembered) shard.remember(from, body);
      shard.in_home_ = true;
      shard.home_.handle(from, std::move(body), now);
      shard.in_home_ = false;
      if (!published_to.empty()) shard.look_for_message(published_to);
      if constexpr (std::is_same_v<Body, hub::Answer>) shard.look_for_orphans();
      shard.watch_answers();
    }
  };
  // Whom answers go to that nobody waits for, so that they are seen here.
  static constexpr Handle kNobody{0xfffffff0, 1};

  World& world_;
  hub::ShardId self_;
  hub::Tenants tenants_;
  Slab<Connection> connections_;
  bool in_home_ = false;  // what is posted now comes from a channel's home
  hub::Home home_;
  hub::Sessions sessions_;
  hub::Calls calls_;
  bool dead_ = false;
  std::vector<log::Operation> operations_;
  std::deque<std::shared_ptr<std::vector<log::Operation>>> log_queue_;
  std::int64_t log_busy_until_us_ = 0;
  std::unordered_map<std::uint64_t, std::string> log_names_;  // channels by their handle
  std::vector<std::function<void()>> events_;
  bool awake_ = false;
  std::vector<hub::Message> local_;
  std::vector<std::vector<hub::Message>> outgoing_;
  std::vector<Handle> touched_, drained_, ended_, gone_;
  struct Asker {
    hub::ShardId from;
    std::uint8_t kind;
    std::uint64_t target;
    std::uint32_t slot;
    std::string channel;
    friend auto operator<=>(const Asker&, const Asker&) = default;
  };
  static Asker asker_of(hub::ShardId shard, const hub::ReplyTo& reply, std::string_view channel);
  std::map<Asker, Model::Asked> asked_;
  struct AskedAck {
    std::string from_json;
    std::uint64_t connection;
  };
  std::map<Asker, AskedAck> asked_acks_;
  std::uint32_t nobodies_ = 0;
  Model::Asked last_asked_;
  // What the home has answered, looked at once it is through.
  std::vector<std::pair<hub::ShardId, std::variant<hub::PublishResult, hub::AckResult>>> answers_;
  struct Followed {
    std::string channel;
    std::int64_t shown_us = -1;
  };
  std::map<std::pair<hub::ShardId, std::uint64_t>, Followed> followed_;
};

}  // namespace tidewire::sim
