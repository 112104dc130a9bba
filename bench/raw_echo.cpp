// The floor under every echo figure: a TCP server on epoll that sends back what it receives and knows
// no protocol at all. Same socket options and same epoll habits as the server itself.
//   raw_echo PORT      (127.0.0.1, one thread, until it is ended)
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
#include <unordered_map>

namespace {
constexpr std::size_t kBufferSize = 512 * 1024;
char buffer[kBufferSize];
std::unordered_map<int, std::string> unsent;  // only of sockets that were full

int listen_on(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(fd, 4096) != 0) {
    std::perror("raw_echo: cannot listen");
    std::exit(1);
  }
  return fd;
}

void watch(int epoll, int operation, int fd, std::uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  ::epoll_ctl(epoll, operation, fd, &event);
}

// Sends what it can and keeps the rest; a full socket is not read from until it has drained.
bool send_or_keep(int epoll, int fd, const char* bytes, std::size_t size) {
  const ssize_t sent = ::send(fd, bytes, size, MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return false;
  const std::size_t done = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  if (done == size) return true;
  unsent[fd].assign(bytes + done, size - done);
  watch(epoll, EPOLL_CTL_MOD, fd, EPOLLOUT);
  return true;
}

bool serve(int epoll, int fd, std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    const std::string rest = std::move(unsent[fd]);
    unsent.erase(fd);
    watch(epoll, EPOLL_CTL_MOD, fd, EPOLLIN);
    return send_or_keep(epoll, fd, rest.data(), rest.size());
  }
  const ssize_t count = ::recv(fd, buffer, kBufferSize, 0);
  if (count <= 0) return count < 0 && errno == EAGAIN;
  return send_or_keep(epoll, fd, buffer, static_cast<std::size_t>(count));
}
}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: raw_echo PORT\n");
    return 2;
  }
  const int listening = listen_on(std::atoi(argv[1]));
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, EPOLL_CTL_ADD, listening, EPOLLIN);
  static epoll_event events[1024];
  for (;;) {
    const int count = ::epoll_wait(epoll, events, 1024, -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listening) {
        for (int client;
             (client = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
          watch(epoll, EPOLL_CTL_ADD, client, EPOLLIN);
      } else if (!serve(epoll, fd, events[i].events)) {
        unsent.erase(fd);
        ::close(fd);
      }
    }
  }
}
