#include "gateway/sse_request.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/error.h"
#include "protocol/resume_token.h"
#include "wire/url.h"
#include "wire/utf8.h"

namespace tidewire::gateway {

namespace {

std::unexpected<wire::HttpProblem> malformed(std::string_view detail) {
  return std::unexpected(
      wire::HttpProblem{.status = 400, .code = name_of(ErrorCode::invalid_message), .detail = detail});
}

// The header that a browser sends when it comes back. Scripts that do its work where it can't set one put
// it into the query, where an older one may stand: the header goes first.
std::string resume_token_of(const wire::HttpRequest& request) {
  if (const auto header = request.headers.find("Last-Event-ID"); header && !header->empty())
    return std::string(*header);
  for (const std::string_view name : {"last_event_id", "lastEventId"})
    if (auto value = wire::query_parameter(request.query, name); value && !value->empty())
      return std::move(*value);
  return {};
}

void split_at_commas(std::string_view names, std::vector<protocol::SubscribeItem>& out) {
  while (true) {
    const std::size_t comma = names.find(',');
    out.emplace_back().channel = names.substr(0, comma);
    if (comma == std::string_view::npos) return;
    names.remove_prefix(comma + 1);
  }
}

}  // namespace

std::expected<std::vector<protocol::SubscribeItem>, wire::HttpProblem> read_sse_request(
    const wire::HttpRequest& request) {
  std::vector<protocol::SubscribeItem> items;
  for (const auto& [name, value] : wire::query_pairs(request.query)) {
    if (name != "channels" && name != "channel") continue;
    if (!value || !wire::is_valid_utf8(*value)) return malformed("a channel's name is badly encoded");
    if (value->empty()) continue;
    if (name == "channel")
      items.emplace_back().channel = *value;
    else
      split_at_commas(*value, items);
  }
  if (items.empty()) return malformed("`channels` or `channel` must name at least one channel");
  if (items.size() > protocol::kResumePositionsMax) return malformed("a stream has at most 100 channels");

  const std::string token = resume_token_of(request);
  if (token.empty()) return items;
  const auto positions = protocol::read_resume_token(token);
  for (protocol::SubscribeItem& item : items) {
    if (!positions) {
      item.since = protocol::Position{};
      continue;
    }
    const auto found =
        std::ranges::find(*positions, protocol::resume_key(item.channel), &protocol::ResumePosition::channel);
    if (found != positions->end()) item.since = found->position;
  }
  return items;
}

}  // namespace tidewire::gateway
