#include "wire/http_response.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/json_text.h"

namespace tidewire::wire {
namespace {

bool breaks_lines(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

void append_head(std::string& out, int status, std::span<const HttpField> fields) {
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
  for (const HttpField& field : fields) {
    if (breaks_lines(field.name) || breaks_lines(field.value)) continue;
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

std::string write_http_response(int status, std::span<const HttpField> fields, std::string_view body,
                                KeepAlive keep_alive, ResponseBody send) {
  std::string out;
  out.reserve(192 + body.size());
  append_head(out, status, fields);
  // RFC 9110 §8.6: never with 1xx and 204. A 304's would be that of the 200, which is not known here.
  const bool has_content = status >= 200 && status != 204 && status != 304;
  if (has_content) fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", body.size());
  if (keep_alive == KeepAlive::no && status >= 200) out += "Connection: close\r\n";
  out += "\r\n";
  if (has_content && send == ResponseBody::send) out += body;
  return out;
}

std::string write_http_stream_head(int status, std::span<const HttpField> fields) {
  std::string out;
  append_head(out, status, fields);
  out += "Connection: close\r\n\r\n";
  return out;
}

std::string problem_json(int status, std::string_view code, std::string_view detail) {
  return problem_json({.status = status, .code = code, .detail = detail});
}

std::string problem_json(const HttpProblem& problem) {
  std::string out = R"({"type":"about:blank","title":)";
  append_json_string(out, reason_phrase(problem.status));
  out += R"(,"status":)";
  append_json_int(out, problem.status);
  if (!problem.code.empty()) {
    out += R"(,"code":)";
    append_json_string(out, problem.code);
  }
  if (!problem.detail.empty()) {
    out += R"(,"detail":)";
    append_json_string(out, problem.detail);
  }
  if (problem.retry_after_ms > 0) {
    out += R"(,"retry_after_ms":)";
    append_json_int(out, problem.retry_after_ms);
  }
  out += '}';
  return out;
}

std::string retry_after_value(std::int64_t retry_after_ms) {
  return std::to_string((retry_after_ms + 999) / 1000);
}

}  // namespace tidewire::wire
