#include "net/stream.h"

#include <errno.h>
#include <fmt/format.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "net/tls_session.h"

namespace tidewire::net {

namespace {
IoResult result_of(ssize_t count) {
  if (count >= 0) return {.bytes = static_cast<std::size_t>(count)};
  if (errno == EAGAIN) return {.status = IoStatus::would_block};
  return {.error = static_cast<std::uint32_t>(errno), .status = IoStatus::failed};
}
}  // namespace

std::string IoResult::describe() const {
  if (!tls) return std::strerror(static_cast<int>(error));
  const char* reason = ERR_reason_error_string(error);
  return fmt::format("TLS: {}", reason != nullptr ? reason : "unknown reason");
}

Stream Stream::tls_server(int fd, const TlsContext& context) {
  return Stream(fd, new TlsSession(fd, context, TlsSession::Side::server, {}));
}

Stream Stream::tls_client(int fd, const TlsContext& context, const std::string& peer_name) {
  return Stream(fd, new TlsSession(fd, context, TlsSession::Side::client, peer_name));
}

void Stream::TlsDeleter::operator()(TlsSession* tls) const { delete tls; }

Stream::Stream(Stream&& other) noexcept : fd_(std::exchange(other.fd_, -1)), tls_(std::move(other.tls_)) {}

Stream& Stream::operator=(Stream&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
    tls_ = std::move(other.tls_);
  }
  return *this;
}

Stream::~Stream() { close(); }

IoResult Stream::read(std::span<char> buffer) {
  if (tls_ != nullptr) return tls_->read(buffer);
  ssize_t count;
  do count = ::recv(fd_, buffer.data(), buffer.size(), 0);
  while (count < 0 && errno == EINTR);
  if (count == 0) return {.status = IoStatus::closed};
  return result_of(count);
}

IoResult Stream::write(std::string_view bytes) {
  if (tls_ != nullptr) return tls_->write(bytes);
  ssize_t count;
  do count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  while (count < 0 && errno == EINTR);
  return result_of(count);
}

IoResult Stream::write(std::span<const iovec> pieces) {
  if (tls_ != nullptr) return tls_->write(pieces);
  msghdr message{};
  // sendmsg only reads them.
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = std::min<std::size_t>(pieces.size(), IOV_MAX);
  ssize_t count;
  do count = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  while (count < 0 && errno == EINTR);
  return result_of(count);
}

IoResult Stream::flush() { return tls_ != nullptr ? tls_->flush() : IoResult{}; }

void Stream::set_unsent_limit(std::size_t bytes) {
  const int value = static_cast<int>(std::min<std::size_t>(bytes, INT_MAX));
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, sizeof value);
}

bool Stream::tls_wants_write() const { return tls_->wants_write(); }
bool Stream::tls_has_buffered_input() const { return tls_->has_buffered_input(); }
bool Stream::tls_ready() const { return tls_->ready(); }

void Stream::shutdown_write() {
  if (tls_ != nullptr) tls_->send_close_notify();
  ::shutdown(fd_, SHUT_WR);
}

void Stream::close() {
  if (fd_ < 0) return;
  if (tls_ != nullptr) tls_->send_close_notify();
  tls_.reset();
  ::close(std::exchange(fd_, -1));
}

void Stream::reset() {
  if (fd_ < 0) return;
  const linger drop{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
  tls_.reset();
  ::close(std::exchange(fd_, -1));
}

Result<int> connect_socket(const SocketAddress& address) {
  const int fd =
      ::socket(address.native()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  const int on = 1;
  if (fd >= 0) {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd, address.native(), address.native_size()) == 0 || errno == EINPROGRESS) return fd;
  }
  const int error = errno;
  if (fd >= 0) ::close(fd);
  return fail(ErrorCode::unavailable,
              fmt::format("cannot connect to {}: {}", address.to_string(), std::strerror(error)));
}

}  // namespace tidewire::net
