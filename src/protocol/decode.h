// From the text of one message to a request (protocol §3, §4): JSON, envelope and the types of all
// fields, in that order. Whether a channel name is valid is looked at later, after the rate limit.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/error.h"
#include "protocol/request.h"

namespace tidewire::protocol {

struct DecodeFailure {
  Error error;
  std::string id;       // of the request, where it could be read; JSON text
  std::string type;     // of the request, where it could be read
  std::string channel;  // likewise
};

// `text` must be UTF-8 and must outlive the request, whose payload are slices of it.
// Codes: invalid_json, invalid_message, unknown_type.
std::expected<Request, DecodeFailure> decode(std::string_view text, int depth_max);

// The same for the body of an HTTP call, which has no `type`: a publish request. Where the path names the
// channel, the body need not.
Result<PublishRequest> decode_publish(std::string_view text, int depth_max, std::string_view channel = {});

// The publish requests of a batch body `{"publish":[...]}`; the outer error is the whole body's. At most
// `count_max` entries.
Result<std::vector<Result<PublishRequest>>> decode_batch(std::string_view text, int depth_max,
                                                         std::size_t count_max);

}  // namespace tidewire::protocol
