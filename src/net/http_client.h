// Outgoing HTTP and HTTPS (JWKS, webhooks, user directory) on a thread of its own, over libcurl.
//
// Every request is answered exactly once, on the loop it names, and is bounded in time and size. What
// it may reach is decided on the address that is really connected to, after DNS and on redirects and
// reused connections too, so a public name cannot lead into a private network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/loop.h"

namespace tidewire::net {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::int64_t timeout_ms = 10'000;      // for everything, name look-up to last byte
  std::size_t max_bytes = 1024 * 1024;   // of the reply's headers and body together
  bool follow_redirects = false;         // at most 3
  bool allow_private = false;            // addresses that are not public, loopback included
  bool plain_http_only_loopback = true;  // http:// to anything else is refused
};

enum class HttpFailure : std::uint8_t {
  none,
  refused,  // by the rules above: scheme, address, invalid request
  timed_out,
  too_large,
  failed,      // no connection, TLS trouble, or the peer does not speak HTTP
  overloaded,  // too many requests at once
  stopped      // the client is being destroyed
};

struct HttpReply {
  HttpFailure failure = HttpFailure::none;
  std::string error;  // in words, when there was a failure
  int status = 0;     // of the last response, whatever it is; 0 without one
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  bool received() const { return failure == HttpFailure::none; }
  // The first value of a header, name in lower case; empty when absent.
  std::string_view header(std::string_view name) const;
};

class HttpClient {
 public:
  struct Options {
    std::string ca_file;  // PEM; empty: the system's certificates
    std::string user_agent = "tidewire";
    std::size_t max_requests = 1024;  // under way and waiting; more are answered `overloaded`
    long connections_per_host = 8;
  };

  // Throws std::runtime_error when libcurl cannot start.
  explicit HttpClient(Options options);
  // Requests under way are answered `stopped`.
  ~HttpClient();

  // Any thread. on_reply runs on the loop, which must outlive the client, never before this returns.
  void request(HttpRequest request, Loop& loop, std::function<void(HttpReply)> on_reply);

 private:
  class Engine;
  std::unique_ptr<Engine> engine_;
};

}  // namespace tidewire::net
