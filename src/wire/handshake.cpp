#include "wire/handshake.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "wire/characters.h"
#include "wire/permessage_deflate.h"

namespace tidewire::wire {
namespace {

constexpr std::array kAllow{HttpField{"Allow", "GET"}};
constexpr std::array kUpgrade{HttpField{"Upgrade", "websocket"}, HttpField{"Connection", "Upgrade"},
                              HttpField{"Sec-WebSocket-Version", "13"}};

HttpProblem malformed(std::string_view detail) { return {400, "invalid_message", detail}; }
HttpProblem upgrade_required(std::string_view detail) { return {426, {}, detail, kUpgrade}; }

// Base64 of 16 bytes: 22 characters and the padding.
bool is_key(std::string_view key) {
  return key.size() == 24 && key.ends_with("==") && std::ranges::all_of(key.substr(0, 22), [](char c) {
           return is_alphanumeric(c) || c == '+' || c == '/';
         });
}

}  // namespace

std::expected<UpgradeRequest, HttpProblem> check_upgrade(const HttpRequest& request) {
  const HttpHeaders& headers = request.headers;
  if (request.method != "GET")
    return std::unexpected(HttpProblem{405, {}, "a WebSocket begins with GET", kAllow});
  if (headers.count("Host") > 1) return std::unexpected(malformed("more than one Host"));
  if (headers.count("Origin") > 1) return std::unexpected(malformed("more than one Origin"));
  if (headers.count("Sec-WebSocket-Key") > 1)
    return std::unexpected(malformed("more than one Sec-WebSocket-Key"));
  if (headers.count("Sec-WebSocket-Version") > 1)
    return std::unexpected(malformed("more than one Sec-WebSocket-Version"));
  if (request.version < 11) return std::unexpected(upgrade_required("a WebSocket needs HTTP/1.1"));
  if (!headers.has_element("Upgrade", "websocket") || !headers.has_element("Connection", "upgrade"))
    return std::unexpected(upgrade_required("this is a WebSocket endpoint"));
  if (headers.find("Sec-WebSocket-Version") != "13")
    return std::unexpected(upgrade_required("only version 13 of the WebSocket protocol is spoken here"));
  if (headers.count("Host") == 0) return std::unexpected(malformed("no Host"));
  if (request.has_body) return std::unexpected(malformed("an upgrade has no body"));

  UpgradeRequest upgrade{.key = headers.find("Sec-WebSocket-Key").value_or(""),
                         .subprotocols = headers.elements("Sec-WebSocket-Protocol"),
                         .extensions = {}};
  if (!is_key(upgrade.key)) return std::unexpected(malformed("Sec-WebSocket-Key is not 16 bytes of base64"));
  if (!std::ranges::all_of(upgrade.subprotocols, is_token))
    return std::unexpected(malformed("Sec-WebSocket-Protocol is malformed"));
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const HttpField field = headers[i];
    if (!equal_ignoring_case(field.name, "Sec-WebSocket-Extensions")) continue;
    if (!upgrade.extensions.empty()) upgrade.extensions += ", ";
    upgrade.extensions += field.value;
  }
  if (!are_extensions(upgrade.extensions))
    return std::unexpected(malformed("Sec-WebSocket-Extensions is malformed"));
  return upgrade;
}

std::string accept_key(std::string_view key) {
  // A fetched digest is found by name only once; EVP_sha1() would look for it on every call.
  static const EVP_MD* const sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  TIDEWIRE_CHECK(sha1 != nullptr);
  std::string text(key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  TIDEWIRE_CHECK(EVP_Digest(text.data(), text.size(), digest.data(), &size, sha1, nullptr) == 1);
  std::array<unsigned char, 32> base64;
  const int length = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(size));
  return {reinterpret_cast<const char*>(base64.data()), static_cast<std::size_t>(length)};
}

std::string write_upgrade_response(std::string_view accept, std::string_view subprotocol,
                                   std::string_view extensions) {
  std::string out =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
      "Upgrade\r\nSec-WebSocket-Accept: ";
  out += accept;
  if (!subprotocol.empty()) out.append("\r\nSec-WebSocket-Protocol: ").append(subprotocol);
  if (!extensions.empty()) out.append("\r\nSec-WebSocket-Extensions: ").append(extensions);
  out += "\r\n\r\n";
  return out;
}

}  // namespace tidewire::wire
