// A simulated client: a user's device that connects, asks, listens, falls silent and comes back.
//
// It knows which replies it is owed and in which order (protocol §4), and checks every message.
#pragma once

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "client_view.h"

namespace tidewire::sim {

class World;
class Shard;

class Client {
 public:
  Client(World& world, int number);

  // Its next action, and then the one after it.
  void start();
  void on_way(std::uint64_t link, std::string text, std::int64_t sent_us);
  void on_closed(std::uint64_t link, std::uint16_t code, std::string reason);

  // The whole server is gone; the client notices when its connection says so.
  void server_ended();

  bool is_connected() const { return state_ == State::connected; }
  const ClientView& view() const { return view_; }
  bool watches_presence() const { return watcher_; }
  // Where it is present, and as which user (JSON).
  const std::map<std::string, std::string>& entered() const { return entered_; }
  const std::string& name() const { return name_; }

  // Comes back from whatever state it is in; reads as fast as it can from now on.
  void behave();
  void leave();
  void check_settled() const;

 private:
  using Json = nlohmann::json;
  enum class State { away, connecting, connected, vanished };
  // A reply that is owed.
  struct Owed {
    Json id;  // null: none can be repeated
    std::string type;
    std::string channel;
    Json request;
    SubscribeAsked subscribe;
    bool of_many = false;
    std::int64_t at_us = 0;
  };

  void act();
  void connect();
  void cut(bool vanish);
  void request(Json body, std::vector<Owed> owed);
  void request(Json body);
  void raw(std::string text);
  bool is_joining(const std::string& channel, const Json& entries) const;
  void subscribe();
  void publish();
  bool publish_event(const std::string& channel);
  void history();
  void presence();
  void authenticate();
  void acknowledge();
  void nonsense();
  void on_inbox_followed(const Json& message, std::int64_t sent_us);
  std::string followed_or_any();
  SubscribeAsked wish();
  void receive(std::uint64_t link, const std::string& text, std::int64_t sent_us);
  void on_reply(const Json& message, std::int64_t sent_us);
  void keep_reading(std::uint64_t link);

  World& world_;
  std::string name_;
  int user_;      // 0: anonymous
  bool watcher_;  // follows presence and never takes part in it
  bool slow_;
  State state_ = State::away;
  std::uint64_t link_ = 0;
  std::optional<Handle> handle_;
  Shard* shard_ = nullptr;
  std::int64_t up_free_us_ = 0, down_free_us_ = 0;
  std::int64_t next_id_ = 0;
  std::string identity_ = "null";  // as the server knows it, JSON
  int inboxes_owed_ = 0;           // `subscribed` to its inbox, which the server sends by itself
  std::int64_t inbox_asked_us_ = 0;
  std::deque<Owed> owed_;
  std::map<std::string, std::string> entered_;
  ClientView view_;
};

}  // namespace tidewire::sim
