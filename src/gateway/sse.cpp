// From an HTTP request to an event stream (protocol §8 `/sse`), and its way to the socket. To the hub it
// is a connection like any other, which asks nothing more once it is open.

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "gateway/gateway.h"
#include "gateway/sse_request.h"
#include "protocol/delivery_head.h"
#include "telemetry/log.h"
#include "wire/bearer.h"
#include "wire/handshake.h"
#include "wire/http_response.h"
#include "wire/url.h"

namespace tidewire::gateway {

namespace {

constexpr std::size_t kRenderBytes = 64 * 1024;  // of what waits, per write
constexpr std::string_view kAllow = "GET, OPTIONS";
constexpr std::string_view kRequestHeaders = "Authorization, Last-Event-ID, Cache-Control";

using Fields = std::vector<std::pair<std::string, std::string>>;

std::optional<std::string> token_of(const wire::HttpRequest& request) {
  if (const auto bearer = wire::bearer_token(request.headers)) return std::string(*bearer);
  return wire::query_parameter(request.query, "token");
}

wire::HttpAnswer refusal(const wire::HttpProblem& problem, Fields fields, std::int64_t retry_after_s) {
  for (const wire::HttpField& field : problem.fields) fields.emplace_back(field.name, field.value);
  fields.emplace_back("Cache-Control", "no-store");
  if (problem.status == 401) fields.emplace_back("WWW-Authenticate", "Bearer");
  if (retry_after_s > 0) fields.emplace_back("Retry-After", std::to_string(retry_after_s));
  return {.status = problem.status,
          .body = wire::problem_json(problem.status, problem.code, problem.detail),
          .content_type = "application/problem+json",
          .fields = std::move(fields)};
}

std::string head_of(const Fields& shared) {
  std::vector<wire::HttpField> fields{{"Content-Type", "text/event-stream"},
                                      {"Cache-Control", "no-store"},
                                      // nginx would hold events back otherwise
                                      {"X-Accel-Buffering", "no"}};
  for (const auto& [name, value] : shared) fields.push_back({name, value});
  return wire::write_http_stream_head(200, fields);
}

}  // namespace

void Gateway::open_stream(Connection& connection, const wire::HttpRequest& request, bool keys_awaited) {
  const auto origin = request.headers.find("origin");
  const std::string_view host = request.headers.find("host").value_or("");
  const bool allowed =
      wire::origin_allowed(origin, host, connection.stream.is_tls(), options_.allowed_origins);
  Fields shared{{"Vary", "Origin"}, {"X-Content-Type-Options", "nosniff"}};
  if (origin && allowed) {
    shared.emplace_back("Access-Control-Allow-Origin", *origin);
    shared.emplace_back("Access-Control-Expose-Headers", "Retry-After");
  }
  const auto refuse = [&](const wire::HttpProblem& problem, std::int64_t retry_after_s = 0) {
    respond(connection.handle, refusal(problem, shared, retry_after_s));
  };
  const auto refuse_with = [&](ErrorCode code, std::string_view detail, std::int64_t retry_after_s = 0) {
    refuse({.status = http_status_of(code), .code = name_of(code), .detail = detail}, retry_after_s);
  };

  if (request.method != "GET" && request.method != "OPTIONS") {
    const wire::HttpField allow{"Allow", kAllow};
    return refuse({.status = 405,
                   .code = {},
                   .detail = "an event stream is asked for with GET",
                   .fields = std::span(&allow, 1)});
  }
  if (request.headers.count("origin") > 1)
    return refuse_with(ErrorCode::invalid_message, "there are two Origin headers");
  if (!allowed) return refuse_with(ErrorCode::forbidden, "this origin is not allowed");
  if (request.method == "OPTIONS") {
    shared.emplace_back("Allow", kAllow);
    if (origin) {
      shared.emplace_back("Access-Control-Allow-Methods", kAllow);
      shared.emplace_back("Access-Control-Allow-Headers", kRequestHeaders);
      shared.emplace_back("Access-Control-Max-Age", "600");
    }
    return respond(connection.handle,
                   {.status = 204, .body = {}, .content_type = {}, .fields = std::move(shared)});
  }
  if (draining()) return refuse_with(ErrorCode::unavailable, "the server is draining", kRetryAfterS);

  const IpAddress client = client_of(connection, request);
  const std::optional<std::string> token = token_of(request);
  const hub::TenantId tenant_id = find_tenant_(host, token.value_or(""));
  hub::Tenant& tenant = tenants_[tenant_id];
  const guard::Limits& limits = tenant.limits.guard;
  std::int64_t wait_ms = 0;
  if (shared_.attempts.blocked(client, now_ms(), wait_ms))
    return refuse_with(ErrorCode::rate_limited, guard::Attempts::kBlockedReason, (wait_ms + 999) / 1000);

  std::shared_ptr<const auth::Identity> identity;
  if (token) {
    auto verdict = tenant.verifier.verify(*token, loop_.now());
    if (!verdict && verdict.error().needs_keys && !keys_awaited) {
      connection.http->upgrade_waits = true;
      waiting_upgrades_.emplace_back(tenant_id, connection.handle);
      fetch_keys_(tenant_id);
      return;
    }
    if (!verdict) {
      const Error& error = verdict.error().error;
      log::info("token refused",
                {{"code", name_of(error.code)}, {"reason", error.message}, {"address", client.text()}});
      const bool is_attempt = error.code != ErrorCode::unavailable;
      if (is_attempt) shared_.attempts.record_failure(client, limits, now_ms());
      return refuse_with(error.code, meaning_of(error.code), is_attempt ? 0 : kRetryAfterS);
    }
    identity = std::move(*verdict);
  } else if (options_.auth_required) {
    return refuse_with(ErrorCode::unauthorized, meaning_of(ErrorCode::unauthorized));
  }

  auto channels = read_sse_request(request);
  if (!channels) return refuse(channels.error());

  // The stream is its own `subscribe`, and is counted as one.
  const guard::SharedKeys keys{
      .user = identity ? shared_.keys.user(tenant.name, identity->user_id) : guard::LimitKey{},
      .address = shared_.keys.address(client, tenant.name)};
  wait_ms = shared_.limits.spend(guard::Spend::take, keys, limits, {}, now_ms());
  if (wait_ms > 0 && !limits.dry_run)
    return refuse_with(ErrorCode::rate_limited, meaning_of(ErrorCode::rate_limited), (wait_ms + 999) / 1000);
  if (const auto full = admit(connection, client, limits)) return refuse(*full, kRetryAfterS);

  // A stream's client never says a word, so it is the kernel that notices when it has vanished.
  const auto timeout_ms = static_cast<unsigned>(options_.write_timeout_ms);
  ::setsockopt(connection.stream.fd(), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);

  connection.sse = std::make_unique<SseStream>(head_of(shared), std::move(*channels));
  connection.state = Connection::State::sse;
  retired_http_.push_back(std::move(connection.http));  // the request being read is still in it
  connection.begun_ms = 0;
  connection.ping_due_ms = now_ms() + options_.heartbeat_ms;
  sessions_->open(connection.handle,
                  {.tenant = tenant_id,
                   .connection_id = random_.next(),
                   .identity = std::move(identity),
                   .address = client},
                  loop_.now());
  if (!connection.sse->begun()) {
    // It has been closed in place of a first word: its user has too many.
    const wire::HttpAnswer answer = refusal({.status = http_status_of(ErrorCode::connection_limit),
                                             .code = name_of(ErrorCode::connection_limit),
                                             .detail = "too many connections of this user"},
                                            shared, kRetryAfterS);
    std::vector<wire::HttpField> fields{{"Content-Type", answer.content_type}};
    for (const auto& [name, value] : answer.fields) fields.push_back({name, value});
    send_lines(connection,
               wire::write_http_response(answer.status, fields, answer.body, wire::KeepAlive::no));
    return finish_close(connection);
  }
  follow_more(connection);
  reschedule(connection);
}

// Asks for the stream's channels, a few at a time: what their answers hold is not bounded otherwise.
void Gateway::follow_more(Connection& connection) {
  SseStream& stream = *connection.sse;
  while (stream.has_next() && connection.queued() < options_.outbound_bytes &&
         sessions_->can_take(connection.handle))
    sessions_->follow(connection.handle, stream.take_next(), loop_.now());
}

void Gateway::send_event(Connection& connection, std::string_view json) {
  SseStream& stream = *connection.sse;
  ++counts_.messages_out;
  std::optional<std::uint64_t> start;
  const protocol::DeliveryHead head = protocol::read_delivery_head(json);
  if (head.type == "subscribed") {
    const auto missing = sessions_->first_missing(connection.handle, head.channel);
    if (missing && *missing > 0) start = *missing - 1;
  }
  Outbox& outbox = outbox_of(connection);
  if (outbox.stalled() || stream.has_replies()) return stream.keep_reply(json, start);
  rendered_.clear();
  if (!stream.begun()) stream.begin(rendered_);
  stream.render(rendered_, json, start);
  outbox.copy_delivery(rendered_);
}

// Whatever else is said on a stream, or in its place.
void Gateway::send_lines(Connection& connection, std::string_view lines) {
  Outbox& outbox = outbox_of(connection);
  if (outbox.stalled() || connection.sse->has_replies()) return connection.sse->keep_lines(lines);
  outbox.copy_delivery(lines);
}

bool Gateway::push_events(Connection& connection, protocol::DeliveryBatch& batch, std::size_t first,
                          std::size_t last, Lane lane) {
  if (connection.queued() >= options_.outbound_bytes) return false;
  SseStream& stream = *connection.sse;
  counts_.messages_out += last - first;
  Outbox& outbox = outbox_of(connection);
  if (stream.is_open() && stream.queued() == 0 && !outbox.stalled()) {
    rendered_.clear();
    for (std::size_t i = first; i < last; ++i) stream.render(rendered_, batch.json(i));
    outbox.copy_delivery(rendered_);
    return true;
  }
  const auto frames = batch.plain(first, last);
  stream.keep_delivery(lane.priority, batch.keep(frames), frames.offset, frames.bytes.size(), lane.channel);
  return true;
}

// Renders what waits, a piece at a time, for as long as the socket takes it.
net::IoStatus Gateway::flush_stream(Connection& connection, std::size_t& written) {
  SseStream& stream = *connection.sse;
  if (!stream.is_open() && !stream.has_next() && sessions_->is_answered(connection.handle)) stream.open();
  while (stream.can_render()) {
    rendered_.clear();
    stream.render_waiting(rendered_, kRenderBytes);
    Outbox& outbox = outbox_of(connection);
    outbox.copy_delivery(rendered_);
    if (const auto status = outbox.flush(connection.stream, written); status != net::IoStatus::ok)
      return status;
  }
  return net::IoStatus::ok;
}

}  // namespace tidewire::gateway
