// Errors that cross a module's edge: a code of the protocol and a sentence for a human.
//
// The codes are spec/errors.json, so the wire, the HTTP API and the SDKs cannot drift apart.
// Value types, usable on any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace tidewire {

// Protocol §6.
enum class ErrorCode : std::uint8_t {
#define TIDEWIRE_ERROR(name, http, text) name,
#include "spec/errors.inc"
#undef TIDEWIRE_ERROR
};

// The code as it stands on the wire, such as "invalid_json".
std::string_view name_of(ErrorCode code);

// The status of the same error over HTTP (RFC 9110).
int http_status_of(ErrorCode code);

// What the code means in general; used where an error has no more to say.
std::string_view meaning_of(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;              // for humans, names what was wrong
  std::int64_t retry_after_ms = 0;  // with rate_limited and unavailable only
  std::uint64_t seq = 0;            // the channel's current seq, with conflict only
  std::string rule;                 // the content rule, with content_rejected only

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = std::expected<T, Error>;

// What is down is tried again after so long, where nobody knows better.
inline constexpr std::int64_t kRetryAfterMs = 5000;

// An error to return from a function whose result is Result<T>.
inline std::unexpected<Error> fail(ErrorCode code, std::string message = {}) {
  if (message.empty()) message = meaning_of(code);
  return std::unexpected(Error{.code = code,
                               .message = std::move(message),
                               .retry_after_ms = code == ErrorCode::unavailable ? kRetryAfterMs : 0,
                               .rule = {}});
}

}  // namespace tidewire
