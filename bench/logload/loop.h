// The generator's connections and the epoll loop that drives them, in one thread. A link's bytes go
// through its dialect; what the dialect has to say goes to the mode.
#pragma once

#include <netinet/in.h>
#include <sys/epoll.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dialect.h"
#include "options.h"

namespace logload {

struct Link {
  enum class State : std::uint8_t { kNew, kConnecting, kGreeted, kReady, kClosed };
  int fd = -1;
  unsigned index = 0;
  State state = State::kNew;
  bool reads = true;          // false: what comes stays in the socket
  int receive_buffer = 0;     // of the socket, in bytes, so that little lies there; 0: the system's
  std::uint32_t watched = 0;  // epoll's events
  std::uint64_t connect_ns = 0;
  std::uint64_t received_bytes = 0;
  std::string unread;  // the front of a unit that is not whole yet
  std::string unsent;
  std::unique_ptr<Dialect> dialect;
};

// What a mode does about its links.
class Mode {
 public:
  virtual ~Mode() = default;
  virtual void ready(Link& link) = 0;
  virtual void published(Link&, std::uint64_t /*id*/, std::string_view /*position*/) {}
  virtual void entry(Link&, std::uint64_t /*number*/) {}
};

class Loop {
 public:
  Loop(const Options& options, Mode& mode);

  // Opens `links` with at most `options.inflight` of them under way, and turns until all are ready.
  void connect_all(std::vector<Link>& links);
  // Opens as many more as may be under way now; true when every one has been started.
  bool connect_some(std::vector<Link>& links);
  // Waits up to `wait_ns` for something to read or write, and carries it out.
  void turn(std::uint64_t wait_ns);
  // Sends what the link's dialect has written.
  void flush(Link& link);
  void set_reading(Link& link, bool on);
  void hang_up(std::vector<Link>& links);

  unsigned ready_links() const { return ready_; }
  std::uint64_t refusals() const { return refusals_; }
  // What the first refusal said.
  const std::string& complaint() const { return complaint_; }
  // When the bytes that are being handed out arrived.
  std::uint64_t arrival_ns() const { return arrival_ns_; }

 private:
  class Hearing;

  void connect(Link& link);
  void handle(Link& link, std::uint32_t events);
  void receive(Link& link);
  void watch(Link& link);
  void close(Link& link, const std::string& why);
  void refuse(std::string_view why);

  const Options& options_;
  Mode& mode_;
  int epoll_;
  sockaddr_in server_{};
  std::vector<char> buffer_;
  std::vector<epoll_event> events_;
  std::uint64_t arrival_ns_ = 0;
  unsigned started_ = 0;
  unsigned ready_ = 0;
  unsigned closed_ = 0;
  std::uint64_t refusals_ = 0;
  std::string complaint_;
};

}  // namespace logload
