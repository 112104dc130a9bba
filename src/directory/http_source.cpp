#include "directory/http_source.h"

#include <fmt/format.h>

#include "base/characters.h"

namespace tidewire::directory {

namespace {

constexpr std::size_t kReplyBytes = std::size_t{1} << 20;
constexpr long kConnections = 32;

// RFC 3986 §2.3: everything but the unreserved, so that an id is never more than its segment.
std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

net::HttpClient::Options client_options() {
  net::HttpClient::Options options;
  options.connections_per_host = kConnections;
  return options;
}

bool replace_all(std::string& text, std::string_view mark, const std::string& by) {
  bool found = false;
  for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + by.size())) {
    text.replace(at, mark.size(), by);
    found = true;
  }
  return found;
}

}  // namespace

std::string url_of(const std::string& pattern, const Question& question) {
  std::string url = pattern;
  replace_all(url, "{tenant}", percent_encoded(question.tenant));
  const std::string id = percent_encoded(question.user);
  if (replace_all(url, "{id}", id)) return url;
  const std::size_t end = std::min(url.find_first_of("?#"), url.size());
  std::string segment = end > 0 && url[end - 1] == '/' ? id : "/" + id;
  return url.insert(end, segment);
}

HttpSource::HttpSource(net::Loop& loop, HttpSourceOptions options)
    : loop_(loop), options_(std::move(options)), client_(client_options()) {}

void HttpSource::ask(const Question& question, Answer answer) {
  if (question.user == "." || question.user == "..") {
    // A path loses such a segment on its way (RFC 3986 §5.2.4): the answer would be another's.
    return loop_.post([answer = std::move(answer)] { answer({.what = Outcome::What::absent}); });
  }
  net::HttpRequest request{.method = "GET",
                           .url = url_of(options_.url, question),
                           .headers = {{"Accept", "application/json, */*"}},
                           .body = {},
                           .timeout_ms = options_.timeout_ms,
                           .max_bytes = kReplyBytes,
                           .follow_redirects = false,
                           .allow_private = true};  // the operator named it
  if (!options_.secret.empty()) request.headers.emplace_back("Authorization", "Bearer " + options_.secret);
  client_.request(std::move(request), loop_, [answer = std::move(answer)](const net::HttpReply& reply) {
    if (!reply.received()) return answer({.what = Outcome::What::failed, .reason = reply.error});
    if (reply.status == 200) return answer({.what = Outcome::What::exists});
    if (reply.status == 404) return answer({.what = Outcome::What::absent});
    answer({.what = Outcome::What::failed, .reason = fmt::format("it answered {}", reply.status)});
  });
}

}  // namespace tidewire::directory
