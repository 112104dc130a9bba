// TLS settings shared by many connections: certificate, key, protocol versions and ciphers (RFC 9325:
// TLS 1.2 and 1.3 only, AEAD ciphers with forward secrecy).
//
// Immutable and shared by pointer between threads. A reload makes a new context for new connections;
// old ones keep theirs alive.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/error.h"

struct ssl_ctx_st;

namespace tidewire::net {

class TlsContext {
 public:
  // For a server: PEM files with the certificate chain (leaf first) and its unencrypted key. Error:
  // invalid_message, naming the file and what is wrong with it.
  static Result<std::shared_ptr<const TlsContext>> load(const std::string& certificate_file,
                                                        const std::string& key_file);
  // For outgoing connections. Peers are verified against a PEM file, or against the system's
  // certificates when it is empty.
  static Result<std::shared_ptr<const TlsContext>> for_clients(const std::string& ca_file = {});

  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* native() const { return context_; }

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

}  // namespace tidewire::net
