// The floor under every fan-out figure: a bare send loop. A connection's first byte says what it is: 'S'
// receives, 'P' publishes; every read of a publisher is sent to all subscribers as it came, in the order
// in which they connected, one send for each.
//   raw_fanout PORT      (127.0.0.1, one thread, until it is ended)
#include <vector>

#include "raw_server.h"

namespace {

std::vector<int> subscribers;
std::unordered_map<int, char> roles;  // of all connections that have spoken

// A broken subscriber is closed when epoll tells of it.
void deliver(int fd, std::string_view bytes) {
  if (!raw::unsent.empty())
    if (const auto waiting = raw::unsent.find(fd); waiting != raw::unsent.end()) {
      waiting->second += bytes;
      return;
    }
  (void)raw::send_or_keep(fd, bytes, EPOLLIN | EPOLLOUT);
}

bool serve(int fd, std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    (void)raw::send_rest(fd, EPOLLIN | EPOLLOUT);
    return true;
  }
  auto [bytes, open] = raw::receive(fd);
  if (bytes.empty()) return open;
  char& role = roles[fd];
  if (role == 0) {
    role = bytes[0];
    bytes.remove_prefix(1);
    if (role == 'S') subscribers.push_back(fd);
  }
  if (role == 'P' && !bytes.empty())
    for (const int subscriber : subscribers) deliver(subscriber, bytes);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  return raw::run(argc, argv, serve, [](int fd) {
    std::erase(subscribers, fd);
    roles.erase(fd);
  });
}
