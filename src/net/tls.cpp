#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509err.h>
#include <unistd.h>

#include <cstring>
#include <new>
#include <string_view>

namespace tidewire::net {

namespace {
constexpr std::string_view kHttp11 = "\x08http/1.1";

// The most telling of OpenSSL's queued errors, which it empties.
unsigned long take_error() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  return error;
}

std::string words(unsigned long error) {
  const char* reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : "unknown reason";
}

std::unexpected<Error> wrong(std::string message) {
  return fail(ErrorCode::invalid_message, std::move(message));
}

Result<void> check_readable(const std::string& file, std::string_view role) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return wrong(fmt::format("cannot read the {} {}: {}", role, file, std::strerror(errno)));
  ::close(fd);
  return {};
}

// Without this, OpenSSL would ask the terminal.
int no_password(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned int offered_size, void*) {
  unsigned char* chosen = nullptr;
  const int outcome =
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(kHttp11.data()),
                            static_cast<unsigned>(kHttp11.size()), offered, offered_size);
  *out = chosen;
  // RFC 7301 §3.2: no protocol in common ends the handshake.
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

void set_up(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384");
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // A record's header and body come with one system call.
  SSL_CTX_set_read_ahead(context, 1);
}
}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const std::string& certificate_file,
                                                           const std::string& key_file) {
  if (auto readable = check_readable(certificate_file, "certificate"); !readable)
    return std::unexpected(readable.error());
  if (auto readable = check_readable(key_file, "key"); !readable) return std::unexpected(readable.error());

  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr) throw std::bad_alloc();
  const std::shared_ptr<TlsContext> result(new TlsContext(context));
  set_up(context);
  // Sessions are resumed by tickets alone, so the server keeps no state; one ticket is enough.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>("tidewire"), 8);
  SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
  bool password_asked = false;
  SSL_CTX_set_default_passwd_cb(context, no_password);
  SSL_CTX_set_default_passwd_cb_userdata(context, &password_asked);
  const auto mismatch = [&] {
    return wrong(fmt::format("the key {} does not match the certificate {}", key_file, certificate_file));
  };
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1)
    return wrong(
        fmt::format("{} holds no usable PEM certificate: {}", certificate_file, words(take_error())));
  const bool key_taken = SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) == 1;
  SSL_CTX_set_default_passwd_cb(context, nullptr);
  if (!key_taken) {
    const unsigned long error = take_error();
    const int reason = ERR_GET_REASON(error);
    if (ERR_GET_LIB(error) == ERR_LIB_X509 &&
        (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH))
      return mismatch();
    if (password_asked)
      return wrong(fmt::format("the key {} is encrypted; a key without password is needed", key_file));
    return wrong(fmt::format("{} holds no usable PEM key: {}", key_file, words(error)));
  }
  // OpenSSL keeps a certificate for each type of key, and takes a key of another type for the first half of
  // a second pair.
  if (SSL_CTX_check_private_key(context) != 1) {
    ERR_clear_error();
    return mismatch();
  }
  return result;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::for_clients(const std::string& ca_file) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) throw std::bad_alloc();
  const std::shared_ptr<TlsContext> result(new TlsContext(context));
  set_up(context);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context);
    return result;
  }
  if (auto readable = check_readable(ca_file, "certificates of authorities"); !readable)
    return std::unexpected(readable.error());
  ERR_clear_error();
  if (SSL_CTX_load_verify_file(context, ca_file.c_str()) != 1)
    return wrong(fmt::format("{} holds no usable PEM certificate: {}", ca_file, words(take_error())));
  return result;
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

}  // namespace tidewire::net
