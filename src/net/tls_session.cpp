#include "net/tls_session.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <new>

namespace tidewire::net {

namespace {
constexpr std::size_t kRecordSize = 16 * 1024;  // RFC 8446 §5.1

IoResult blocked() { return {.status = IoStatus::would_block}; }
}  // namespace

// OpenSSL's own socket BIO would write without MSG_NOSIGNAL.
struct TlsSession::Socket {
  static TlsSession& session(BIO* bio) { return *static_cast<TlsSession*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* data, int size) {
    BIO_clear_retry_flags(bio);
    const ssize_t count = ::recv(session(bio).fd_, data, static_cast<std::size_t>(size), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
    if (count < 0) session(bio).socket_error_ = errno;
    if (count == 0) session(bio).end_of_file_ = true;
    return static_cast<int>(count);
  }

  static int write(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    const ssize_t count = ::send(session(bio).fd_, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
    if (count < 0) session(bio).socket_error_ = errno;
    return static_cast<int>(count);
  }

  static long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return session(bio).end_of_file_ ? 1 : 0;
    return 0;
  }

  static const BIO_METHOD* method() {
    static const BIO_METHOD* const shared = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tidewire stream");
      if (made == nullptr) throw std::bad_alloc();
      BIO_meth_set_read(made, read);
      BIO_meth_set_write(made, write);
      BIO_meth_set_ctrl(made, control);
      return made;
    }();
    return shared;
  }
};

TlsSession::TlsSession(int fd, const TlsContext& context, Side side, const std::string& peer_name)
    : ssl_(SSL_new(context.native())), fd_(fd) {
  BIO* bio = BIO_new(Socket::method());
  if (ssl_ == nullptr || bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  if (side == Side::server) {
    SSL_set_accept_state(ssl_);
    return;
  }
  SSL_set_connect_state(ssl_);
  if (peer_name.empty()) {  // OpenSSL would take this for "any name"
    broken_ = true;
    broken_by_ = EINVAL;
    return;
  }
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), peer_name.c_str()) == 1) return;
  SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  SSL_set1_host(ssl_, peer_name.c_str());
  SSL_set_tlsext_host_name(ssl_, peer_name.c_str());
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

bool TlsSession::ready() const { return SSL_is_init_finished(ssl_) != 0; }

IoResult TlsSession::outcome(int return_value) {
  const int kind = SSL_get_error(ssl_, return_value);
  if (kind == SSL_ERROR_WANT_READ) return blocked();
  if (kind == SSL_ERROR_WANT_WRITE) {
    blocked_on_write_ = true;
    return blocked();
  }
  // An end without close_notify is what many clients do; messages have lengths, so it cuts nothing
  // off unnoticed.
  if (kind == SSL_ERROR_ZERO_RETURN || end_of_file_) return {.status = IoStatus::closed};
  broken_ = true;
  broken_by_tls_ = kind == SSL_ERROR_SSL;
  broken_by_ = broken_by_tls_ ? static_cast<std::uint32_t>(ERR_peek_error())
                              : static_cast<std::uint32_t>(socket_error_ != 0 ? socket_error_ : EIO);
  ERR_clear_error();
  return {.error = broken_by_, .status = IoStatus::failed, .tls = broken_by_tls_};
}

// False: the result says why application data cannot flow now. OpenSSL would shake hands inside
// SSL_write too, but takes a write of another length after a blocked handshake for a mistake.
bool TlsSession::shake_hands(IoResult& result) {
  blocked_on_write_ = false;
  if (broken_) {
    result = {.error = broken_by_, .status = IoStatus::failed, .tls = broken_by_tls_};
    return false;
  }
  if (SSL_in_init(ssl_) == 0) return true;
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_);
  if (done == 1) return true;
  result = outcome(done);
  return false;
}

IoResult TlsSession::read(std::span<char> buffer) {
  more_input_ = false;
  IoResult result;
  if (!shake_hands(result)) return result;
  std::size_t total = 0;
  while (total < buffer.size()) {
    ERR_clear_error();
    std::size_t count = 0;
    const int done = SSL_read_ex(ssl_, buffer.data() + total, buffer.size() - total, &count);
    if (done != 1) {
      result = outcome(done);
      if (total == 0) return result;
      // The bytes come first; the end or failure must be asked for, since epoll may not tell again.
      more_input_ = result.status != IoStatus::would_block;
      return {.bytes = total};
    }
    total += count;
  }
  more_input_ = SSL_has_pending(ssl_) != 0;
  return {.bytes = total};
}

bool TlsSession::send_unsent(IoResult& result) {
  if (unsent_.empty()) return true;
  ERR_clear_error();
  std::size_t count = 0;
  const int done = SSL_write_ex(ssl_, unsent_.data(), unsent_.size(), &count);
  if (done != 1) {
    result = outcome(done);
    return false;
  }
  unsent_ = std::string();
  return true;
}

// At most kRecordSize bytes. Returns how many are taken care of; 0 with the reason in result.
std::size_t TlsSession::write_record(std::string_view bytes, IoResult& result) {
  ERR_clear_error();
  std::size_t count = 0;
  const int done = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &count);
  if (done == 1) return count;
  result = outcome(done);
  if (!blocked_on_write_ || SSL_in_init(ssl_) != 0) return 0;
  unsent_ = bytes;
  return bytes.size();
}

namespace {
// What a writer is told: an end of file on the way in means that nobody reads any more.
IoResult for_writer(std::size_t total, IoResult result) {
  if (total > 0) return {.bytes = total};
  if (result.status == IoStatus::closed) return {.error = ECONNRESET, .status = IoStatus::failed};
  return result;
}
}  // namespace

IoResult TlsSession::write(std::string_view bytes) {
  IoResult result;
  if (!shake_hands(result) || !send_unsent(result)) return for_writer(0, result);
  std::size_t total = 0;
  while (total < bytes.size() && unsent_.empty()) {
    const std::size_t count = write_record(bytes.substr(total, kRecordSize), result);
    if (count == 0) break;
    total += count;
  }
  return for_writer(total, result);
}

IoResult TlsSession::write(std::span<const iovec> pieces) {
  IoResult result;
  if (!shake_hands(result) || !send_unsent(result)) return for_writer(0, result);
  static thread_local char record[kRecordSize];
  std::size_t total = 0;
  std::size_t offset = 0;  // in the first of the pieces
  while (!pieces.empty() && unsent_.empty()) {
    std::size_t size = 0;
    while (!pieces.empty() && size < kRecordSize) {
      const std::size_t count = std::min(kRecordSize - size, pieces[0].iov_len - offset);
      std::copy_n(static_cast<const char*>(pieces[0].iov_base) + offset, count, record + size);
      size += count;
      offset += count;
      if (offset == pieces[0].iov_len) {
        pieces = pieces.subspan(1);
        offset = 0;
      }
    }
    if (size == 0) break;
    if (write_record({record, size}, result) == 0) break;
    total += size;
  }
  return for_writer(total, result);
}

IoResult TlsSession::flush() {
  IoResult result;
  if (!shake_hands(result)) return for_writer(0, result);
  send_unsent(result);
  return for_writer(0, result);
}

void TlsSession::send_close_notify() {
  if (broken_ || SSL_in_init(ssl_) != 0 || !unsent_.empty()) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

}  // namespace tidewire::net
