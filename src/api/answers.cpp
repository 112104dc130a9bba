#include "api/answers.h"

#include <cmath>

#include "wire/http_response.h"

namespace tidewire::api {

namespace {

void write_error(protocol::MessageWriter& writer, const Error& error) {
  writer.text("code", name_of(error.code)).text("detail", error.message);
  if (error.retry_after_ms > 0) writer.number("retry_after_ms", error.retry_after_ms);
  if (error.code == ErrorCode::conflict) writer.number("seq", error.seq);
  if (!error.rule.empty()) writer.text("rule", error.rule);
}

}  // namespace

wire::HttpAnswer json_answer(std::string body) {
  wire::HttpAnswer answer;
  answer.body = std::move(body);
  answer.fields.emplace_back("Cache-Control", "no-store");
  return answer;
}

wire::HttpAnswer problem_answer(const Error& error) {
  wire::HttpAnswer answer;
  answer.status = http_status_of(error.code);
  answer.refusal = error.code;
  answer.content_type = "application/problem+json";
  protocol::MessageWriter writer;
  writer.text("type", "about:blank")
      .text("title", wire::reason_phrase(answer.status))
      .number("status", std::int64_t{answer.status});
  write_error(writer, error);
  answer.body = writer.finish();
  answer.fields.emplace_back("Cache-Control", "no-store");
  if (error.retry_after_ms > 0)
    answer.fields.emplace_back("Retry-After", wire::retry_after_value(error.retry_after_ms));
  // RFC 9110 §15.5.2: a 401 names the scheme that would help.
  if (answer.status == 401) answer.fields.emplace_back("WWW-Authenticate", "Bearer");
  return answer;
}

wire::HttpAnswer problem_answer(ErrorCode code, std::string detail) {
  return problem_answer(fail(code, std::move(detail)).error());
}

wire::HttpAnswer no_such_user() {
  wire::HttpAnswer answer;
  answer.status = 404;
  answer.refusal = ErrorCode::user_not_found;
  answer.content_type = "application/problem+json";
  answer.body =
      wire::problem_json(404, name_of(ErrorCode::user_not_found), meaning_of(ErrorCode::user_not_found));
  answer.fields.emplace_back("Cache-Control", "no-store");
  return answer;
}

wire::HttpAnswer method_not_allowed(std::string_view allow) {
  wire::HttpAnswer answer;
  answer.status = 405;
  answer.content_type = "application/problem+json";
  answer.body = wire::problem_json(405, {}, "this path does not take that method");
  answer.fields.emplace_back("Allow", allow);
  return answer;
}

wire::HttpAnswer unsupported_coding(std::string_view coding) {
  wire::HttpAnswer answer;
  answer.status = 415;
  answer.content_type = "application/problem+json";
  answer.body = wire::problem_json(
      415, {}, fmt::format("a body is taken as it is, not with Content-Encoding: {}", coding.substr(0, 64)));
  answer.fields.emplace_back("Accept-Encoding", "identity");
  return answer;
}

std::string error_entry(const Error& error) {
  protocol::MessageWriter writer;
  write_error(writer, error);
  return writer.finish();
}

std::string decimal(double value) {
  if (!std::isfinite(value)) return "0";
  std::string text = fmt::format("{:.3f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace tidewire::api
