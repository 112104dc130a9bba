// A connection that speaks the protocol: requests with replies, and what comes by itself. It keeps to the
// rate limit that the server announces, so that a check never looks like an attack.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "check/network.h"

namespace tidewire::check {

using Json = nlohmann::json;

// A bucket of requests, filled again with time.
class Pacer {
 public:
  void set(double burst, double per_second);
  // How long to wait before the next request, which is then counted.
  Clock::duration take(Clock::time_point now);

 private:
  double burst_ = 5, per_second_ = 1, tokens_ = 5;
  Clock::time_point at_ = Clock::now();
};

class Session {
 public:
  // `shared` counts the requests of all connections of one user.
  Session(Network& network, std::shared_ptr<Socket> socket, Pacer& shared);
  ~Session();
  Session(Session&&) noexcept = default;
  Session& operator=(Session&&) noexcept = default;

  // The server's first message; nothing in time, or the connection has ended.
  std::optional<Json> hello();

  // The reply with the request's id, which is put in. One that is refused for its rate is repeated.
  std::optional<Json> request(Json message);
  // Sends without waiting; the id that it got.
  std::string send(Json message);
  std::optional<Json> reply_to(const std::string& id);
  // As it is, not counted.
  bool send_text(std::string_view text, bool binary = false) { return socket_->send(text, binary); }

  // The next message for which `wanted` holds; what comes before it stays.
  std::optional<Json> next(const std::function<bool(const Json&)>& wanted);
  std::optional<Json> next_of_type(std::string_view type);
  // The next delivery of the channel: `message`, `gap` or `snapshot`. `at` gets the time it came.
  std::optional<Json> delivery(const std::string& channel, Clock::time_point* at = nullptr);

  bool alive();  // a ping of the protocol is answered
  Socket& socket() { return *socket_; }
  const std::string& last_text() const { return last_text_; }  // of what was taken last, as it came

 private:
  Network* network_;
  std::shared_ptr<Socket> socket_;
  Pacer* shared_;
  std::unique_ptr<Pacer> own_;
  std::string last_text_;
  Clock::time_point last_at_;
  int ids_ = 0;
};

// A text as JSON; a discarded value where it is none.
Json parsed(std::string_view text);
// A string member, empty where there is none.
std::string text_of(const Json& message, std::string_view name);
// An unsigned member, 0 where there is none.
std::uint64_t number_of(const Json& message, std::string_view name);

}  // namespace tidewire::check
