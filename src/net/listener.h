// Listening sockets, and the watcher that accepts from one of them on one loop.
//
// Several loops share a port through SO_REUSEPORT: open_listening_sockets() makes all sockets of a
// port at once, then each loop's thread makes a Listener from its own. Running out of descriptors
// never spins: the waiting connection is accepted on a spare descriptor and closed, then the listener
// rests for a moment.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/error.h"
#include "net/loop.h"
#include "net/socket_address.h"

namespace tidewire::net {

// Owns a bound, listening, nonblocking socket. A value, usable on any thread.
class ListeningSocket {
 public:
  // Takes a socket that is listening already (systemd's socket activation). invalid_message when it
  // is no listening TCP socket; the fd is then left alone.
  static Result<ListeningSocket> adopt(int fd);
  ListeningSocket(ListeningSocket&& other) noexcept;
  ListeningSocket& operator=(ListeningSocket&& other) noexcept;
  ~ListeningSocket();

  // Another descriptor of the same socket, for a second loop where there is only one socket.
  Result<ListeningSocket> duplicate() const;
  int fd() const { return fd_; }
  SocketAddress address() const { return SocketAddress::local_of(fd_); }

 private:
  friend Result<std::vector<ListeningSocket>> open_listening_sockets(const SocketAddress&, int, int);
  explicit ListeningSocket(int fd) : fd_(fd) {}
  int fd_;
};

// `count` sockets on one address and port; with port 0 the system picks a free port and all take it.
// Error: unavailable, naming the address and the cause; a port that another program listens on is
// refused even where SO_REUSEPORT would silently share it.
Result<std::vector<ListeningSocket>> open_listening_sockets(const SocketAddress& address, int count,
                                                            int backlog = 4096);

class Listener final : private Watcher, private LoopTimer {
 public:
  // Takes over a connected, nonblocking, close-on-exec socket with TCP_NODELAY.
  using OnAccept = std::function<void(int fd, const SocketAddress& peer)>;
  static constexpr int kAcceptsPerEvent = 64;
  static constexpr std::int64_t kRest_ms = 100;

  // On the loop's thread or before it runs. on_accept may destroy the listener.
  Listener(Loop& loop, ListeningSocket socket, OnAccept on_accept);
  ~Listener();

  SocketAddress address() const { return socket_.address(); }
  // Connections turned away for want of descriptors.
  std::uint64_t refused() const { return refused_; }
  // How often it had to rest for want of descriptors or memory.
  std::uint64_t exhausted() const { return exhausted_; }

 private:
  void on_events(std::uint32_t events) override;
  void on_timer() override;
  bool turn_one_away();
  void rest();

  Loop& loop_;
  ListeningSocket socket_;
  OnAccept on_accept_;
  int spare_fd_;
  bool watching_ = false;
  bool* destroyed_ = nullptr;  // set while on_accept runs
  std::uint64_t refused_ = 0;
  std::uint64_t exhausted_ = 0;
};

}  // namespace tidewire::net
