// A connected byte stream: a TCP socket, with TLS or without, decided when it is made. Owns the
// descriptor; nonblocking; plain TCP allocates nothing.
//
// Two rules for the owner's epoll interest: watch EPOLLOUT while a write came back short or
// wants_write() is true, and call flush() (or write more) when it fires; read again without waiting
// while has_buffered_input() is true. The TLS handshake happens inside read, write and flush.
// Owned by one thread.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "net/socket_address.h"
#include "net/tls.h"

namespace tidewire::net {

class TlsSession;

enum class IoStatus : std::uint8_t {
  ok,           // `bytes` were moved, at least one
  would_block,  // nothing now
  closed,       // the peer has ended its direction (reads only)
  failed        // the connection is broken; `error` says why
};

struct IoResult {
  std::size_t bytes = 0;
  std::uint32_t error = 0;  // errno, or OpenSSL's code when `tls`
  IoStatus status = IoStatus::ok;
  bool tls = false;

  bool ok() const { return status == IoStatus::ok; }
  // The cause of a failure in words, for logs.
  std::string describe() const;
};

class Stream {
 public:
  Stream() = default;  // no connection
  // Takes over a connected or connecting nonblocking socket.
  explicit Stream(int fd) : fd_(fd) {}
  // The server's side of TLS.
  static Stream tls_server(int fd, const TlsContext& context);
  // The client's side; the peer's certificate must be good for the name (a host name or an IP).
  static Stream tls_client(int fd, const TlsContext& context, const std::string& peer_name);

  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;
  ~Stream();  // as close()

  // Reads at most buffer.size() > 0 bytes.
  IoResult read(std::span<char> buffer);
  // Writes a prefix; fewer bytes than asked means that the socket is full. The rest may be written
  // later, with other bytes in between or not at all: nothing is remembered here.
  IoResult write(std::string_view bytes);
  // The same over several pieces (at most IOV_MAX are looked at); one system call on plain TCP,
  // small pieces gathered into one record on TLS.
  IoResult write(std::span<const iovec> pieces);
  // Carries on with what TLS itself has to send. ok with 0 bytes: nothing is left.
  IoResult flush();

  bool wants_write() const { return tls_ != nullptr && tls_wants_write(); }
  bool has_buffered_input() const { return tls_ != nullptr && tls_has_buffered_input(); }
  // How many bytes the kernel takes beyond those on their way before the socket counts as full.
  void set_unsent_limit(std::size_t bytes);
  // What the peer's system has taken of all that was written, and what it has not: with TLS, of its records.
  // One that takes bytes moves `acknowledged`, or `delivered` while something before them is lost and must be
  // sent again, however full the socket is meanwhile.
  struct Progress {
    std::uint64_t acknowledged = 0;
    std::uint32_t delivered = 0;  // segments, those behind a lost one too
    std::size_t outstanding = 0;
    std::int64_t silent_ms = 0;  // since its system last acknowledged anything, be it nothing new
  };
  Progress progress() const;
  // Plain TCP, or TLS whose handshake is done.
  bool ready() const { return tls_ == nullptr || tls_ready(); }

  // Ends our direction: the peer reads end of file, we can still read.
  void shutdown_write();
  // Closes in order; bytes that the kernel holds are still sent.
  void close();
  // Closes at once with a TCP reset; bytes not sent are dropped.
  void reset();

  bool is_open() const { return fd_ >= 0; }
  bool is_tls() const { return tls_ != nullptr; }
  int fd() const { return fd_; }

 private:
  Stream(int fd, TlsSession* tls) : fd_(fd), tls_(tls) {}
  bool tls_wants_write() const;
  bool tls_has_buffered_input() const;
  bool tls_ready() const;

  struct TlsDeleter {
    void operator()(TlsSession* tls) const;
  };
  int fd_ = -1;
  std::unique_ptr<TlsSession, TlsDeleter> tls_;
};
static_assert(sizeof(Stream) <= 32);

// Begins a connection; the socket is writable when it stands (or has failed, which the first read or
// write tells). Nonblocking, TCP_NODELAY. Error: unavailable.
Result<int> connect_socket(const SocketAddress& address);

}  // namespace tidewire::net
