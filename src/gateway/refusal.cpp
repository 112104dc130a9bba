#include "gateway/refusal.h"

#include "wire/handshake.h"
#include "wire/http_response.h"

namespace tidewire::gateway {

AnswerFields shared_fields(const wire::HttpRequest& request,
                           const std::vector<std::string>& allowed_origins) {
  AnswerFields fields{{"Vary", "Origin"}, {"X-Content-Type-Options", "nosniff"}};
  const auto origin = request.headers.find("origin");
  if (origin && wire::origin_allowed(request, allowed_origins)) {
    fields.emplace_back("Access-Control-Allow-Origin", *origin);
    fields.emplace_back("Access-Control-Expose-Headers", "Retry-After");
  }
  return fields;
}

wire::HttpProblem problem_of(ErrorCode code, std::string_view detail, std::int64_t retry_after_ms) {
  return {.status = http_status_of(code),
          .code = name_of(code),
          .detail = detail,
          .retry_after_ms = retry_after_ms};
}

wire::HttpAnswer refusal_answer(const wire::HttpProblem& problem, AnswerFields fields) {
  for (const wire::HttpField& field : problem.fields) fields.emplace_back(field.name, field.value);
  fields.emplace_back("Cache-Control", "no-store");
  // RFC 9110 §15.5.2: a 401 names the scheme that would help.
  if (problem.status == 401) fields.emplace_back("WWW-Authenticate", "Bearer");
  if (problem.retry_after_ms > 0)
    fields.emplace_back("Retry-After", wire::retry_after_value(problem.retry_after_ms));
  wire::HttpAnswer answer;
  answer.status = problem.status;
  answer.body = wire::problem_json(problem);
  answer.content_type = "application/problem+json";
  answer.fields = std::move(fields);
  return answer;
}

bool served_in_drain(std::string_view path) {
  return path == "/healthz" || path == "/readyz" || path == "/metrics";
}

}  // namespace tidewire::gateway
