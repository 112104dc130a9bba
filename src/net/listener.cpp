#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "base/check.h"

namespace tidewire::net {

namespace {
void set_option(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

int open_spare() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

std::string cause_of(int error, const SocketAddress& address) {
  switch (error) {
    case EADDRINUSE:
      return fmt::format("cannot listen on {}: another program uses this port", address.to_string());
    case EACCES:
      return fmt::format("cannot listen on {}: ports below 1024 need a privilege", address.to_string());
    case EADDRNOTAVAIL:
      return fmt::format("cannot listen on {}: this machine does not have the address", address.to_string());
    default:
      return fmt::format("cannot listen on {}: {}", address.to_string(), std::strerror(error));
  }
}

// What the kernel takes of a connection beyond what is on its way. By default it is up to 4 MiB, which nobody
// counts, and which a slow reader may need minutes for, so that our pings are late by that.
constexpr int kUnsentBytes = 128 * 1024;

// Accepted sockets inherit these, which saves system calls for each.
void set_inherited_options(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentBytes);
}

enum class Sharing : std::uint8_t { alone, shared };

// A bound socket, or -errno.
int bind_socket(const SocketAddress& address, Sharing sharing) {
  const int fd =
      ::socket(address.native()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return -errno;
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (sharing == Sharing::shared) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  // [::] takes IPv4 too, whatever the system's default.
  if (address.is_v6()) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  set_inherited_options(fd);
  if (::bind(fd, address.native(), address.native_size()) != 0) {
    const int error = errno;
    ::close(fd);
    return -error;
  }
  return fd;
}
}  // namespace

Result<ListeningSocket> ListeningSocket::adopt(int fd) {
  int listening = 0;
  socklen_t size = sizeof listening;
  const bool known = ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0;
  sockaddr_storage local{};
  socklen_t local_size = sizeof local;
  const bool named = ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &local_size) == 0;
  if (!known || !named || listening == 0 || (local.ss_family != AF_INET && local.ss_family != AF_INET6))
    return fail(ErrorCode::invalid_message, fmt::format("descriptor {} is no listening TCP socket", fd));
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  set_inherited_options(fd);
  return ListeningSocket(fd);
}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

ListeningSocket& ListeningSocket::operator=(ListeningSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

ListeningSocket::~ListeningSocket() {
  if (fd_ >= 0) ::close(fd_);
}

Result<ListeningSocket> ListeningSocket::duplicate() const {
  const int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0)
    return fail(ErrorCode::unavailable,
                fmt::format("cannot duplicate a listening socket: {}", std::strerror(errno)));
  return ListeningSocket(copy);
}

Result<std::vector<ListeningSocket>> open_listening_sockets(const SocketAddress& address, int count,
                                                            int backlog) {
  if (address.port() != 0) {
    // SO_REUSEPORT lets two programs of one user share a port, and each would get half of the
    // connections. A bind without it finds the other one.
    const int probe = bind_socket(address, Sharing::alone);
    if (probe < 0) return fail(ErrorCode::unavailable, cause_of(-probe, address));
    ::close(probe);
  }
  std::vector<ListeningSocket> sockets;
  SocketAddress shared = address;
  for (int i = 0; i < count; ++i) {
    const int fd = bind_socket(shared, Sharing::shared);
    if (fd < 0) return fail(ErrorCode::unavailable, cause_of(-fd, shared));
    sockets.push_back(ListeningSocket(fd));
    shared = address.with_port(sockets.front().address().port());
  }
  for (const ListeningSocket& socket : sockets)
    if (::listen(socket.fd(), backlog) != 0) return fail(ErrorCode::unavailable, cause_of(errno, shared));
  return sockets;
}

Listener::Listener(Loop& loop, ListeningSocket socket, OnAccept on_accept)
    : loop_(loop), socket_(std::move(socket)), on_accept_(std::move(on_accept)), spare_fd_(open_spare()) {
  watching_ = loop_.add(socket_.fd(), EPOLLIN, this);
  TIDEWIRE_CHECK(watching_);
}

Listener::~Listener() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  if (watching_) loop_.remove(socket_.fd(), this);
  if (spare_fd_ >= 0) ::close(spare_fd_);
}

void Listener::on_events(std::uint32_t) {
  bool destroyed = false;
  destroyed_ = &destroyed;
  // Held here while it runs, since it may destroy the listener.
  OnAccept on_accept = std::move(on_accept_);
  bool exhausted = false;
  for (int i = 0; i < kAcceptsPerEvent; ++i) {
    sockaddr_storage peer;
    socklen_t size = sizeof peer;
    const int fd =
        ::accept4(socket_.fd(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      on_accept(fd, SocketAddress::from_native(reinterpret_cast<const sockaddr*>(&peer), size));
      if (destroyed) return;
    } else if (errno == EAGAIN) {
      break;
    } else if (errno == EMFILE || errno == ENFILE) {
      exhausted = true;
      if (!turn_one_away()) break;
    } else if (errno == ENOBUFS || errno == ENOMEM) {
      exhausted = true;
      break;
    }
    // Anything else is about the one connection that was waiting (ECONNABORTED, EPROTO ...).
  }
  on_accept_ = std::move(on_accept);
  destroyed_ = nullptr;
  if (exhausted) rest();
}

bool Listener::turn_one_away() {
  if (spare_fd_ >= 0) ::close(spare_fd_);
  const int fd = ::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
  if (fd >= 0) {
    ::close(fd);
    ++refused_;
  }
  spare_fd_ = open_spare();
  return fd >= 0;
}

void Listener::rest() {
  ++exhausted_;
  loop_.remove(socket_.fd(), this);
  watching_ = false;
  loop_.timers().schedule(*this, loop_.now().mono_ms() + kRest_ms);
}

void Listener::on_timer() {
  watching_ = loop_.add(socket_.fd(), EPOLLIN, this);
  if (!watching_) loop_.timers().schedule(*this, loop_.now().mono_ms() + kRest_ms);
}

}  // namespace tidewire::net
