// The token in a request's Authorization header (RFC 6750) or in its query.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "wire/http_request.h"

namespace tidewire::wire {

// What follows `Bearer`, in any case; it may be empty. Another scheme counts as absent (protocol §2).
std::optional<std::string_view> bearer_token(const HttpHeaders& headers);

// The first `token` of a query. One that is badly encoded is given as it came: no token looks like that, but
// it is there, and nobody becomes anonymous by a mistake.
std::optional<std::string> query_token(std::string_view query);

}  // namespace tidewire::wire
