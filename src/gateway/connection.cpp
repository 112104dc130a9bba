#include "gateway/connection.h"

#include <sys/epoll.h>

#include "gateway/gateway.h"

namespace tidewire::gateway {

constinit const ConnectionExtras Connection::kNoExtras;

Connection::Connection(Gateway& gateway_, Handle handle_, net::Stream stream_, const IpAddress& peer,
                       std::int64_t now_ms)
    : gateway(gateway_),
      stream(std::move(stream_)),
      handle(handle_),
      reader(nullptr),
      address(peer),
      last_life_ms(now_ms) {}

void Connection::on_events(std::uint32_t events) {
  if (state == State::gone) return;
  if ((events & EPOLLOUT) != 0) {
    last_life_ms = gateway.now_ms();
    gateway.touch(*this);
  }
  // The connection was reset while input waits: what it sent last must not overtake that.
  if (holding && (events & (EPOLLHUP | EPOLLERR)) != 0) return gateway.lose(*this);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) gateway.on_readable(*this);
}

void Connection::on_timer() {
  if (state != State::gone) gateway.on_timer(*this);
}

void Connection::update_interest() {
  std::uint16_t wanted = 0;
  if (!holding && !peer_closed) wanted |= EPOLLIN;
  if (stalled() || stream.wants_write()) wanted |= EPOLLOUT;
  if (wanted == interest) return;
  interest = wanted;
  gateway.loop_.modify(stream.fd(), interest, this);
}

}  // namespace tidewire::gateway
