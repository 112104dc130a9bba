// What `GET /sse` asks for (protocol §8): channels, and from where in each. Pure functions, any thread.
#pragma once

#include <expected>
#include <vector>

#include "protocol/request.h"
#include "wire/http_request.h"

namespace tidewire::gateway {

// The subscriptions of a stream, in the order in which `channels` (split at commas) and `channel` (one
// whole name) stand in the query; the names are not judged yet, but are UTF-8. A channel whose position
// stands in the resume token goes on behind it; a token that can't be read is a position of another epoch
// in every channel, so that its client is told that something may be missing.
// 400 for no channel, for more than kResumePositionsMax, and for a name that is badly encoded.
std::expected<std::vector<protocol::SubscribeItem>, wire::HttpProblem> read_sse_request(
    const wire::HttpRequest& request);

}  // namespace tidewire::gateway
