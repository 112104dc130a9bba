// Takes secrets out of text that is about to be logged or shown.
#pragma once

#include <string>
#include <string_view>

namespace tidewire::log {

// A copy of a URL, request line or header without secrets, each replaced by ***: values of the query
// parameters token, access_token, key, secret and password (however their names are percent-encoded),
// values of Authorization, Proxy-Authorization, Cookie and X-API-Key headers, credentials behind
// Bearer, `tidewire.token.` subprotocols, `tw_` keys, JWTs, and passwords in a URL's authority.
std::string redact(std::string_view text);

}  // namespace tidewire::log
