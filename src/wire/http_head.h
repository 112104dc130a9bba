// The head of one HTTP/1.1 request, from text to values. The inner half of HttpReader.
//
// Boost.Beast checks the grammar; what the fields mean for the body, and every rule about doubled or
// contradicting ones, is decided here (RFC 9112 §6). Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "wire/http_request.h"

namespace tidewire::wire {

struct BodyFraming {
  bool chunked = false;
  std::uint64_t content_length = 0;
  bool expects_continue = false;
};

// `head` is everything up to and including the empty line, every line of it ended by CR LF and none
// folded. Fills `request` but for the body. A problem: 400, 417, 501 or 505.
std::optional<HttpProblem> parse_head(std::string_view head, HttpRequest& request, BodyFraming& framing);

// Whether a line is `name: value` with a token, no space before the colon and no control characters.
bool is_field_line(std::string_view line);

}  // namespace tidewire::wire
