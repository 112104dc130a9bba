// base64url without padding (RFC 4648 §5, RFC 7515 §2), the one spelling of bytes in a JWT or JWK.
//
// Decoding is strict, so that a token has exactly one spelling: no padding, no whitespace, no other
// alphabet, and unused bits of the last character must be zero. Pure functions, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidewire {

std::string base64url_encode(std::string_view bytes);

// nullopt where `text` is not the canonical encoding of some bytes. Empty text is empty bytes.
std::optional<std::string> base64url_decode(std::string_view text);

}  // namespace tidewire
