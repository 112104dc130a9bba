// A client's side of the network for the command line: HTTP requests and WebSockets, with deadlines.
//
// One thread: nothing happens but inside wait(), which carries out whatever is ready on all sockets.
// Boost.Beast stands behind it, in network.cpp alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidewire::check {

using Clock = std::chrono::steady_clock;
using Headers = std::vector<std::pair<std::string, std::string>>;

// Where a server is. `prefix` stands before every path, without a slash at its end.
struct Address {
  bool tls = false;
  std::string host;  // an IPv6 address without its brackets
  std::string port;
  std::string prefix;

  // What stands in `Host`, and in messages.
  std::string authority() const;
  bool is_loopback() const;
};

// http, https, ws or wss; the path `/ws` at the end is taken off. The error is a sentence.
std::expected<Address, std::string> parse_address(std::string_view url);

struct HttpReply {
  unsigned status = 0;
  std::string body;
  double took_ms = 0;
};

struct Arrived {
  std::string text;
  bool binary = false;
  Clock::time_point at;
};

// An open WebSocket. What has come is in `inbox`, in order.
class Socket {
 public:
  virtual ~Socket() = default;
  // False where it has ended or can't be written in time.
  virtual bool send(std::string_view text, bool binary = false) = 0;
  virtual bool ping() = 0;
  // The closing handshake, as far as the peer plays along.
  virtual void close() = 0;
  // Ends the connection without a word.
  virtual void drop() = 0;

  std::deque<Arrived> inbox;
  bool ended = false;
  std::uint16_t close_code = 0;  // 0: none came
  std::string close_reason;
  std::string subprotocol;  // that the server chose
  bool deflate = false;     // permessage-deflate was agreed
  std::size_t pongs = 0;
};

// How an upgrade failed: the status, or 0 and what went wrong before there was one.
struct Refusal {
  unsigned status = 0;
  std::string reason;
};

struct Certificate {
  std::string version;    // of TLS
  std::int64_t days = 0;  // until it ends
  std::string fault;      // why it is not trusted; empty: it is
};

class Network {
 public:
  struct Options {
    Address address;
    Clock::duration timeout = std::chrono::seconds(5);  // of each step
    bool insecure = false;                              // any certificate will do
    std::string ca_file;                                // in place of the system's
  };
  explicit Network(Options options);
  ~Network();

  std::expected<HttpReply, std::string> get(std::string_view path, const Headers& headers = {});
  std::expected<std::shared_ptr<Socket>, Refusal> open(std::string_view path, const Headers& headers = {},
                                                       bool offer_deflate = false);
  std::expected<Certificate, std::string> certificate();

  // Goes on until `done` says so; false once the deadline has passed.
  bool wait(const std::function<bool()>& done, Clock::time_point deadline);
  bool wait(const std::function<bool()>& done);

  const Options& options() const;

 private:
  class Engine;
  std::unique_ptr<Engine> engine_;
};

}  // namespace tidewire::check
