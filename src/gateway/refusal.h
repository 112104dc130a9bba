// Answers of the gateway's own: to requests that can't be read, that come too late, or that are to become
// something else and may not. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "wire/http_answer.h"
#include "wire/http_request.h"

namespace tidewire::gateway {

using AnswerFields = std::vector<std::pair<std::string, std::string>>;

// What every answer to this request has; with CORS where its origin is one of `allowed_origins`.
AnswerFields shared_fields(const wire::HttpRequest& request, const std::vector<std::string>& allowed_origins);

// `detail` is static text, `retry_after_ms` 0 where nothing is said of it.
wire::HttpProblem problem_of(ErrorCode code, std::string_view detail, std::int64_t retry_after_ms = 0);

// problem+json with Retry-After and WWW-Authenticate where they belong.
wire::HttpAnswer refusal_answer(const wire::HttpProblem& problem, AnswerFields fields);

// Whether the path is answered as ever while the server drains (protocol §8, §9).
bool served_in_drain(std::string_view path);

}  // namespace tidewire::gateway
