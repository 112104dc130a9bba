// Reading channels: which there are, and what is in one (protocol §8).

#include <algorithm>

#include "api/answers.h"
#include "api/query.h"
#include "api/router.h"
#include "base/base64url.h"
#include "base/json_text.h"

namespace tidewire::api {

namespace {

constexpr std::int64_t kListDefault = 100;
constexpr std::int64_t kListMax = 1000;

std::string info_json(const hub::ChannelInfo& info) {
  return protocol::MessageWriter()
      .text("channel", info.name)
      .text("kind", hub::name_of(info.kind))
      .text("epoch", info.epoch)
      .number("seq", info.seq)
      .number("subscribers", static_cast<std::uint64_t>(info.subscribers))
      .finish();
}

// One channel more than asked for was looked for, to know whether there is a next page.
std::string list_json(const hub::AnswerPart& answer, std::size_t limit) {
  const std::vector<hub::ChannelInfo>& channels = answer.channels;
  const std::size_t shown = std::min(channels.size(), limit);
  std::string list = "[";
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) list += ',';
    list += info_json(channels[i]);
  }
  list += ']';
  protocol::MessageWriter writer;
  writer.json("channels", list);
  if (channels.size() > shown)
    writer.text("next", base64url_encode(channels[shown - 1].name));
  else if (!answer.looked_to.empty())
    writer.text("next", base64url_encode(answer.looked_to));
  else
    writer.json("next", "null");
  return writer.finish();
}

Result<protocol::HistoryRequest> history_request(std::string channel, std::string_view query) {
  protocol::HistoryRequest request;
  request.channel = std::move(channel);
  const auto after = query_integer(query, "after", 0, kJsonIntegerMax);
  if (!after) return std::unexpected(after.error());
  const auto before = query_integer(query, "before", 0, kJsonIntegerMax);
  if (!before) return std::unexpected(before.error());
  const auto limit = query_integer(query, "limit", 0, kJsonIntegerMax);
  if (!limit) return std::unexpected(limit.error());
  if (*after) request.after = static_cast<std::uint64_t>(**after);
  if (*before) request.before = static_cast<std::uint64_t>(**before);
  if (*limit) request.limit = static_cast<std::uint64_t>(**limit);
  auto epoch = query_text(query, "epoch");
  if (!epoch) return std::unexpected(epoch.error());
  request.epoch = std::move(*epoch);
  return request;
}

}  // namespace

void Router::list_channels(Call& call) {
  const std::string_view query = call.request.query;
  const auto wanted = query_integer(query, "limit", 1, kJsonIntegerMax);
  if (!wanted) return call.respond(problem_answer(wanted.error()));
  const auto prefix = query_text(query, "prefix"), cursor = query_text(query, "cursor");
  if (!prefix) return call.respond(problem_answer(prefix.error()));
  if (!cursor) return call.respond(problem_answer(cursor.error()));
  std::string after;
  if (*cursor) {
    auto name = base64url_decode(**cursor);
    if (!name) return call.respond(problem_answer(ErrorCode::invalid_message, "`cursor` is not one of ours"));
    after = std::move(*name);
  }
  const auto limit = static_cast<std::size_t>(std::min(wanted->value_or(kListDefault), kListMax));
  calls_.ask_all(
      hub::ListChannels{.tenant = call.caller.tenant,
                        .prefix = prefix->value_or(""),
                        .after = std::move(after),
                        .limit = limit + 1},
      [limit, respond = std::move(call.respond)](const hub::AnswerPart& answer) {
        respond(answer.error ? problem_answer(*answer.error) : json_answer(list_json(answer, limit)));
      });
}

void Router::channel(Call& call) {
  calls_.channel_info(origin_of(call.caller), std::move(call.segments.front()),
                      [respond = std::move(call.respond)](Result<hub::ChannelInfo> info) {
                        respond(info ? json_answer(info_json(*info)) : problem_answer(info.error()));
                      });
}

void Router::history(Call& call) {
  auto request = history_request(call.segments.front(), call.request.query);
  if (!request) return call.respond(problem_answer(request.error()));
  if (!pass_rate(call)) return;
  calls_.history(origin_of(call.caller), std::move(*request),
                 [channel = std::move(call.segments.front()),
                  respond = std::move(call.respond)](Result<hub::HistoryPage> page) {
                   if (!page) return respond(problem_answer(page.error()));
                   respond(json_answer(protocol::MessageWriter()
                                           .text("channel", channel)
                                           .text("epoch", page->epoch)
                                           .number("first", page->first)
                                           .number("last", page->last)
                                           .json("messages", protocol::messages_array(page->messages))
                                           .finish()));
                 });
}

void Router::presence(Call& call) {
  if (!pass_rate(call)) return;
  const std::string channel = std::move(call.segments.front());
  calls_.presence(
      origin_of(call.caller), channel,
      [channel, respond = std::move(call.respond)](Result<std::string> members) {
        if (!members) return respond(problem_answer(members.error()));
        respond(json_answer(
            protocol::MessageWriter().text("channel", channel).json("members", *members).finish()));
      });
}

void Router::snapshot(Call& call) {
  if (!pass_rate(call)) return;
  const std::string channel = std::move(call.segments.front());
  calls_.snapshot(origin_of(call.caller), channel,
                  [channel, respond = std::move(call.respond)](const Result<hub::ChannelSnapshot>& snapshot) {
                    if (!snapshot) return respond(problem_answer(snapshot.error()));
                    respond(json_answer(protocol::MessageWriter()
                                            .text("channel", channel)
                                            .text("epoch", snapshot->epoch)
                                            .number("seq", snapshot->seq)
                                            .json("data", snapshot->data.view())
                                            .finish()));
                  });
}

}  // namespace tidewire::api
