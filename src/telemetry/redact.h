// Takes secrets out of text that is about to be logged or shown.
#pragma once

#include <string>
#include <string_view>

namespace tidewire::log {

// A copy of a URL, request line or header without secrets, each replaced by ***: all values in the query
// and fragment of a URL with a scheme, and the password in its authority; else values of the query
// parameters token, access_token, key, api_key, secret, password and sslpassword (however their names are
// percent-encoded); values of Authorization, Proxy-Authorization, Cookie and X-API-Key headers,
// credentials behind Bearer, `tidewire.token.` subprotocols, `tw_` keys and JWTs. A backslash takes what
// follows with it, so text may be quoted as in JSON.
std::string redact(std::string_view text);

}  // namespace tidewire::log
