// The TLS state of one stream: OpenSSL's object over the stream's socket.
//
// Invariant: `unsent_` holds exactly the plaintext of a record that OpenSSL has begun to send and has
// to be asked to finish with the same bytes. Keeping it here lets the owner write whatever it likes
// next. Internal to net/stream.cpp. Owned by one thread.
#pragma once

#include <openssl/types.h>

#include <span>
#include <string>
#include <string_view>

#include "net/stream.h"

namespace tidewire::net {

class TlsSession {
 public:
  enum class Side : std::uint8_t { server, client };

  // The peer name is looked at on the client's side only.
  TlsSession(int fd, const TlsContext& context, Side side, const std::string& peer_name);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  IoResult read(std::span<char> buffer);
  IoResult write(std::string_view bytes);
  IoResult write(std::span<const iovec> pieces);
  IoResult flush();
  void send_close_notify();

  bool wants_write() const { return blocked_on_write_ || !unsent_.empty(); }
  bool has_buffered_input() const { return more_input_; }
  bool ready() const;

 private:
  struct Socket;  // OpenSSL's view of the file descriptor

  bool shake_hands(IoResult& result);
  bool send_unsent(IoResult& result);
  std::size_t write_record(std::string_view bytes, IoResult& result);
  IoResult outcome(int return_value);

  SSL* ssl_;
  std::string unsent_;
  int fd_;
  int socket_error_ = 0;         // errno of the last failed system call
  std::uint32_t broken_by_ = 0;  // what broken() is about
  bool broken_ = false;
  bool broken_by_tls_ = false;
  bool end_of_file_ = false;
  bool blocked_on_write_ = false;
  bool more_input_ = false;
};

}  // namespace tidewire::net
