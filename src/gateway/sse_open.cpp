// From an HTTP request to an event stream (protocol §8 `/sse`). To the hub it is a connection like any
// other, which asks nothing more once it is open.

#include "gateway/gateway.h"
#include "gateway/refusal.h"
#include "gateway/sse_request.h"
#include "wire/handshake.h"
#include "wire/http_response.h"

namespace tidewire::gateway {

namespace {

constexpr std::string_view kAllow = "GET, OPTIONS";
constexpr std::string_view kRequestHeaders = "Authorization, Last-Event-ID, Cache-Control";

wire::HttpAnswer preflight(bool is_browser, AnswerFields fields) {
  fields.emplace_back("Allow", kAllow);
  if (is_browser) {
    fields.emplace_back("Access-Control-Allow-Methods", kAllow);
    fields.emplace_back("Access-Control-Allow-Headers", kRequestHeaders);
    fields.emplace_back("Access-Control-Max-Age", "600");
  }
  return {.status = 204, .body = {}, .content_type = {}, .fields = std::move(fields)};
}

std::string head_of(const AnswerFields& shared) {
  std::vector<wire::HttpField> fields{{"Content-Type", "text/event-stream"},
                                      {"Cache-Control", "no-store"},
                                      // nginx would hold events back otherwise
                                      {"X-Accel-Buffering", "no"}};
  for (const auto& [name, value] : shared) fields.push_back({name, value});
  return wire::write_http_stream_head(200, fields);
}

}  // namespace

void Gateway::open_stream(Connection& connection, const wire::HttpRequest& request,
                          const hub::Awaited& awaited) {
  const bool allowed = wire::origin_allowed(request, options_.allowed_origins);
  const AnswerFields shared = shared_fields(request, options_.allowed_origins);
  const auto refuse = [&](const wire::HttpProblem& problem) {
    respond(connection.handle, refusal_answer(problem, shared));
  };

  if (request.method != "GET" && request.method != "OPTIONS") {
    const wire::HttpField allow{"Allow", kAllow};
    return refuse({.status = 405,
                   .code = {},
                   .detail = "an event stream is asked for with GET",
                   .fields = std::span(&allow, 1)});
  }
  if (request.headers.count("origin") > 1)
    return refuse(problem_of(ErrorCode::invalid_message, "there are two Origin headers"));
  if (!allowed) return refuse(problem_of(ErrorCode::forbidden, "this origin is not allowed"));
  if (request.method == "OPTIONS")
    return respond(connection.handle, preflight(request.headers.count("origin") > 0, shared));

  auto opening = judge_stream(connection, request, awaited);
  if (!opening) return refuse(opening.error().answer());
  if (!*opening) return;  // it waits
  auto channels = read_sse_request(request);
  if (!channels) return refuse(channels.error());
  if (const auto over = count_stream(connection, **opening)) return refuse(*over);
  start_stream(connection, std::move(**opening),
               std::make_unique<SseStream>(head_of(shared), std::move(*channels)));
  if (connection.extras().sse->has_begun()) return;

  // The hub has closed it in place of a first word: its user has too many connections.
  const wire::HttpAnswer answer = refusal_answer(
      problem_of(ErrorCode::connection_limit, "too many connections of this user", kRetryAfterMs), shared);
  std::vector<wire::HttpField> fields{{"Content-Type", answer.content_type}};
  for (const auto& [name, value] : answer.fields) fields.push_back({name, value});
  outbox_of(connection)
      .add_reply(wire::write_http_response(answer.status, fields, answer.body, wire::KeepAlive::no), {});
  finish_close(connection);
}

// Who asks, as for a WebSocket (protocol §2), but that there is always a status to say no with, and that an
// anonymous one has no way to authenticate later.
std::expected<std::optional<hub::Opening>, Gateway::RefusedAsker> Gateway::judge_stream(
    Connection& connection, const wire::HttpRequest& request, const hub::Awaited& awaited) {
  if (draining()) return std::unexpected(RefusedAsker{.problem = kDraining});
  auto opening = judge(connection, request, {}, awaited);
  if (opening && *opening && (*opening)->identity == nullptr && options_.auth_required)
    return std::unexpected(
        RefusedAsker{.problem = problem_of(ErrorCode::unauthorized, meaning_of(ErrorCode::unauthorized))});
  return opening;
}

// Counts the stream in the limits, as a connection and as the `subscribe` that it is.
std::optional<wire::HttpProblem> Gateway::count_stream(Connection& connection, const hub::Opening& opening) {
  const hub::Tenant& tenant = tenants_[opening.tenant];
  if (const auto over = sessions_->pass_rate(
          {.tenant = opening.tenant, .identity = opening.identity.get(), .address = opening.address},
          loop_.now()))
    return problem_of(over->code, meaning_of(over->code), over->retry_after_ms);
  return admit(connection, opening.address, tenant);
}

void Gateway::start_stream(Connection& connection, hub::Opening&& opening,
                           std::unique_ptr<SseStream> stream) {
  connection.more().sse = std::move(stream);
  connection.state = Connection::State::sse;
  leave_http(connection);
  opening.connection_id = random_.next();
  sessions_->open(connection.handle, std::move(opening), loop_.now());
  follow_more(connection);
  reschedule(connection);
}

}  // namespace tidewire::gateway
