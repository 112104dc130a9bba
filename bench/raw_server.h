// What the two raw servers share: a listening TCP socket on epoll, with the same socket options and epoll
// habits as the server itself, and no protocol at all. One thread.
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace raw {

inline constexpr std::size_t kBufferSize = 512 * 1024;
inline char buffer[kBufferSize];
inline int epoll = -1;
inline std::unordered_map<int, std::string> unsent;  // only of sockets that were full

inline void watch(int operation, int fd, std::uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  ::epoll_ctl(epoll, operation, fd, &event);
}

// Sends what it can and keeps the rest, to be sent by `send_rest` once the socket tells `waiting`; false
// when the connection is broken.
inline bool send_or_keep(int fd, std::string_view bytes, std::uint32_t waiting) {
  const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return false;
  const std::size_t done = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  if (done == bytes.size()) return true;
  unsent[fd].assign(bytes.substr(done));
  watch(EPOLL_CTL_MOD, fd, waiting);
  return true;
}

inline bool send_rest(int fd, std::uint32_t waiting) {
  const std::string rest = std::move(unsent[fd]);
  unsent.erase(fd);
  watch(EPOLL_CTL_MOD, fd, EPOLLIN);
  return send_or_keep(fd, rest, waiting);
}

// What has come in; empty with `open` when nothing was there after all.
struct Received {
  std::string_view bytes;
  bool open;
};
inline Received receive(int fd) {
  const ssize_t count = ::recv(fd, buffer, kBufferSize, 0);
  if (count <= 0) return {{}, count < 0 && errno == EAGAIN};
  return {{buffer, static_cast<std::size_t>(count)}, true};
}

inline int listen_on(const char* port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(fd, 4096) != 0) {
    std::perror("cannot listen");
    std::exit(1);
  }
  return fd;
}

// Serves 127.0.0.1:PORT until it is ended. `serve(fd, events)` says whether the connection stays;
// `gone(fd)` comes before it is closed.
template <typename Serve, typename Gone>
int run(int argc, char** argv, Serve serve, Gone gone) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s PORT\n", argv[0]);
    return 2;
  }
  const int listening = listen_on(argv[1]);
  epoll = ::epoll_create1(EPOLL_CLOEXEC);
  watch(EPOLL_CTL_ADD, listening, EPOLLIN);
  static epoll_event events[1024];
  for (;;) {
    const int count = ::epoll_wait(epoll, events, 1024, -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listening) {
        for (int client;
             (client = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
          watch(EPOLL_CTL_ADD, client, EPOLLIN);
      } else if (!serve(fd, events[i].events)) {
        gone(fd);
        unsent.erase(fd);
        ::close(fd);
      }
    }
  }
}

}  // namespace raw
