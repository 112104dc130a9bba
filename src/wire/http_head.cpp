#include "wire/http_head.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>

#include "wire/characters.h"
#include "wire/url.h"

namespace tidewire::wire {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// Takes request line and fields; bodies never reach it.
class HeadParser final : public http::basic_parser<true> {
 public:
  explicit HeadParser(HttpRequest& request) : request_(request) {
    header_limit(std::numeric_limits<std::uint32_t>::max());
    body_limit(boost::none);
    skip(true);
  }

 private:
  void on_request_impl(http::verb, beast::string_view method, beast::string_view target, int version,
                       beast::error_code&) override {
    request_.method = view(method);
    request_.target = view(target);
    request_.version = version;
  }
  void on_field_impl(http::field, beast::string_view name, beast::string_view value,
                     beast::error_code&) override {
    request_.headers.add(view(name), view(value));
  }
  void on_response_impl(int, beast::string_view, int, beast::error_code&) override {}
  void on_header_impl(beast::error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view, beast::error_code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view, beast::error_code&) override { return 0; }
  void on_finish_impl(beast::error_code&) override {}

  HttpRequest& request_;
};

HttpProblem bad_head(std::string_view detail) { return {400, "invalid_message", detail}; }

// Whether the request line is fine but for a version that is not spoken here.
bool names_other_version(std::string_view head) {
  const std::string_view line = head.substr(0, head.find('\r'));
  const std::size_t space = line.rfind(' ');
  if (space == std::string_view::npos) return false;
  const std::string_view version = line.substr(space + 1);
  return version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) && version[6] == '.' &&
         is_digit(version[7]) && version != "HTTP/1.1" && version != "HTTP/1.0";
}

std::optional<HttpProblem> read_target(HttpRequest& request) {
  std::string_view target = request.target;
  if (std::ranges::any_of(target, [](char c) { return static_cast<unsigned char>(c) >= 0x80 || c == '#'; }))
    return bad_head("the request target has a character that must be encoded");
  if (target == "*" && request.method == "OPTIONS") {
    request.path = "*";
    return std::nullopt;
  }
  // The absolute form, as to a proxy. It must agree with Host: two readers may believe either.
  for (const auto& [scheme, default_port] :
       {std::pair<std::string_view, unsigned>{"http://", 80}, {"https://", 443}}) {
    if (!equal_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const std::size_t end = std::min(target.find_first_of("/?"), target.size());
    const auto named = split_host(target.substr(0, end));
    const auto host = split_host(request.headers.find("Host").value_or(""));
    if (!named || !equal_ignoring_case(named->host, host->host) ||
        named->port.value_or(default_port) != host->port.value_or(default_port))
      return bad_head("the request target and Host disagree");
    target.remove_prefix(end);
    request.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
    target = request.target;
    break;
  }
  if (!target.starts_with('/')) return bad_head("the request target is not a path");
  const std::size_t question = target.find('?');
  if (question != std::string_view::npos) request.query = target.substr(question + 1);
  auto path = percent_decode(target.substr(0, question));
  if (!path) return bad_head("the path is not well encoded");
  request.path = std::move(*path);
  return std::nullopt;
}

std::optional<HttpProblem> read_framing(const HttpRequest& request, BodyFraming& framing) {
  const std::size_t lengths = request.headers.count("Content-Length");
  const bool has_coding = request.headers.count("Transfer-Encoding") != 0;
  if (has_coding) {
    if (lengths != 0) return bad_head("both Content-Length and Transfer-Encoding");
    if (request.version < 11) return bad_head("Transfer-Encoding in HTTP/1.0");
    const auto codings = request.headers.elements("Transfer-Encoding");
    if (codings.empty()) return bad_head("empty Transfer-Encoding");
    const auto is_chunked = [](std::string_view coding) { return equal_ignoring_case(coding, "chunked"); };
    if (!std::ranges::all_of(codings, is_chunked)) {
      if (std::ranges::count_if(codings, is_chunked) > 1 ||
          (std::ranges::any_of(codings, is_chunked) && !is_chunked(codings.back())))
        return bad_head("chunked is not the last transfer coding");
      return HttpProblem{501, {}, "only the transfer coding chunked is understood"};
    }
    // One field with that one word: empty list elements and further fields are read differently elsewhere.
    if (request.headers.count("Transfer-Encoding") > 1 ||
        !is_chunked(*request.headers.find("Transfer-Encoding")))
      return bad_head("Transfer-Encoding is malformed");
    framing.chunked = true;
    return std::nullopt;
  }
  if (lengths > 1) return bad_head("more than one Content-Length");
  if (lengths == 0) return std::nullopt;
  const std::string_view length = *request.headers.find("Content-Length");
  if (length.empty() || length.size() > 19 || !std::ranges::all_of(length, is_digit))
    return bad_head("Content-Length is not a number");
  for (const char digit : length)
    framing.content_length = framing.content_length * 10 + static_cast<std::uint64_t>(digit - '0');
  return std::nullopt;
}

}  // namespace

bool is_field_line(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  return std::ranges::all_of(line.substr(0, colon), is_token_char) &&
         std::ranges::none_of(line.substr(colon), is_forbidden_control);
}

std::optional<HttpProblem> parse_head(std::string_view head, HttpRequest& request, BodyFraming& framing) {
  request.headers.reserve(head.size());
  HeadParser parser(request);
  beast::error_code error;
  const std::size_t used = parser.put({head.data(), head.size()}, error);
  if (error == http::error::bad_version && names_other_version(head))
    return HttpProblem{505, {}, "only HTTP/1.1 and HTTP/1.0 are spoken here"};
  if (error || used != head.size()) {
    if (error == http::error::bad_field) return bad_head("a field's name is malformed");
    if (error == http::error::bad_value) return bad_head("a field's value is malformed");
    if (error == http::error::bad_content_length || error == http::error::multiple_content_length)
      return bad_head("bad Content-Length");
    if (error == http::error::bad_transfer_encoding) return bad_head("bad Transfer-Encoding");
    if (error == http::error::bad_line_ending) return bad_head("a line does not end with CR LF");
    return bad_head("the request line is malformed");
  }

  const std::size_t hosts = request.headers.count("Host");
  if (hosts > 1) return bad_head("more than one Host");
  if (hosts == 0 && request.version >= 11) return bad_head("no Host");
  if (!split_host(request.headers.find("Host").value_or(""))) return bad_head("Host is malformed");

  if (auto problem = read_framing(request, framing)) return problem;
  if (auto problem = read_target(request)) return problem;
  request.has_body = framing.chunked || framing.content_length > 0;
  request.content_length = framing.content_length;
  request.keep_alive = request.version >= 11 ? !request.headers.has_element("Connection", "close")
                                             : request.headers.has_element("Connection", "keep-alive") &&
                                                   !request.headers.has_element("Connection", "close");
  if (request.version >= 11 && request.headers.count("Expect") != 0) {
    for (const std::string_view expectation : request.headers.elements("Expect"))
      if (!equal_ignoring_case(expectation, "100-continue"))
        return HttpProblem{417, {}, "only the expectation 100-continue is understood"};
    framing.expects_continue = request.has_body;
  }
  return std::nullopt;
}

}  // namespace tidewire::wire
