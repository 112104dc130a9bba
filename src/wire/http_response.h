// Writing HTTP/1.1 responses and RFC 9457 problems. Pure functions, any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "wire/http_request.h"

namespace tidewire::wire {

enum class KeepAlive : bool { no, yes };
enum class ResponseBody : bool { send, head_only };

// "Not Found" for 404; "Unknown" for a status without a name.
std::string_view reason_phrase(int status);

// A whole response. Content-Length is written by the body's size (also head_only; never with 1xx and
// 204), `Connection: close` with KeepAlive::no. Date, Content-Type and the rest are the caller's. A field
// with a line break or a NUL in it is left out: it would let its source write the response.
std::string write_http_response(int status, std::span<const HttpField> fields, std::string_view body,
                                KeepAlive keep_alive, ResponseBody send = ResponseBody::send);

// The head of a response whose body ends with the connection (server-sent events).
std::string write_http_stream_head(int status, std::span<const HttpField> fields);

// {"type":"about:blank","title":…,"status":…,"code":…,"detail":…}; without an empty `code` or `detail`.
std::string problem_json(int status, std::string_view code, std::string_view detail);
// Likewise, with `retry_after_ms` where there is one.
std::string problem_json(const HttpProblem& problem);

// Retry-After's value: whole seconds, no shorter than that.
std::string retry_after_value(std::int64_t retry_after_ms);

}  // namespace tidewire::wire
