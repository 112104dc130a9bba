// The shapes of answers that all routes share. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "guard/shared_overload.h"
#include "protocol/message_writer.h"
#include "wire/http_answer.h"

namespace tidewire::api {

inline constexpr const char* kUserIdRule = "a user id has 1 to 200 letters, digits and ._-:@=,;!~+/#";

// 200 with a JSON body.
wire::HttpAnswer json_answer(std::string body);

// RFC 9457, with the protocol's `code` and what belongs to it (§6); Retry-After and WWW-Authenticate
// where the status wants them.
wire::HttpAnswer problem_answer(const Error& error);
wire::HttpAnswer problem_answer(ErrorCode code, std::string detail = {});

// 404 `user_not_found`: the user whom a call is about. (A caller who does not exist is a 401.)
wire::HttpAnswer no_such_user();

// 405 with the methods that the path has.
wire::HttpAnswer method_not_allowed(std::string_view allow);

// 415 for a body with this content coding (RFC 9110 §15.5.16).
wire::HttpAnswer unsupported_coding(std::string_view coding);

// {"code","detail"} and what belongs to the code, as an entry of a batch's results.
std::string error_entry(const Error& error);

// A number that JSON can hold, with at most three digits behind the point.
std::string decimal(double value);

// The server's load and what is given up for it; an object.
std::string overload_json(const guard::SharedOverload& overload);

}  // namespace tidewire::api
