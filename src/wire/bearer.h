// The token in a request's Authorization header (RFC 6750).
#pragma once

#include <optional>
#include <string_view>

#include "wire/http_request.h"

namespace tidewire::wire {

// What follows `Bearer`, in any case; it may be empty. Another scheme counts as absent (protocol §2).
std::optional<std::string_view> bearer_token(const HttpHeaders& headers);

}  // namespace tidewire::wire
