// The floor under every echo figure: a TCP server that sends back what it receives.
//   raw_echo PORT      (127.0.0.1, one thread, until it is ended)
#include "raw_server.h"

int main(int argc, char** argv) {
  // A full socket is not read from until it has drained.
  const auto serve = [](int fd, std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) return raw::send_rest(fd, EPOLLOUT);
    const auto [bytes, open] = raw::receive(fd);
    return open && (bytes.empty() || raw::send_or_keep(fd, bytes, EPOLLOUT));
  };
  return raw::run(argc, argv, serve, [](int) {});
}
