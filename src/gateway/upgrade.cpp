// From an HTTP request to a WebSocket (protocol §2).

#include <optional>

#include "gateway/gateway.h"
#include "guard/client_address.h"
#include "protocol/message_writer.h"
#include "wire/bearer.h"
#include "wire/frame.h"
#include "wire/handshake.h"
#include "wire/http_response.h"
#include "wire/url.h"

namespace tidewire::gateway {

namespace {

constexpr std::string_view kSubprotocol = "tidewire.v1";
constexpr std::string_view kTokenSubprotocol = "tidewire.token.";
// The first of the three ways that is present counts (protocol §2).
std::optional<std::string> token_of(const wire::HttpRequest& request, const wire::UpgradeRequest& upgrade) {
  if (const auto bearer = wire::bearer_token(request.headers)) return std::string(*bearer);
  for (const std::string_view offered : upgrade.subprotocols)
    if (offered.starts_with(kTokenSubprotocol)) return std::string(offered.substr(kTokenSubprotocol.size()));
  return wire::query_token(request.query);
}

bool offers_subprotocol(const wire::UpgradeRequest& upgrade) {
  for (const std::string_view offered : upgrade.subprotocols)
    if (offered == kSubprotocol) return true;
  return false;
}

}  // namespace

IpAddress Gateway::client_of(const Connection& connection, const wire::HttpRequest& request) const {
  if (options_.trusted_proxies.empty()) return connection.address;
  std::vector<std::string_view> lines;
  for (std::size_t i = 0; i < request.headers.size(); ++i)
    if (wire::equal_ignoring_case(request.headers[i].name, "x-forwarded-for"))
      lines.push_back(request.headers[i].value);
  return guard::client_address(connection.address, lines, options_.trusted_proxies);
}

bool Gateway::is_over_tls(const Connection& connection, const wire::HttpRequest& request) const {
  if (connection.stream.is_tls()) return true;
  if (!guard::is_trusted(connection.address, options_.trusted_proxies)) return false;
  // The first is the client's; some proxies name the scheme of a WebSocket.
  const auto schemes = request.headers.elements("x-forwarded-proto");
  return !schemes.empty() && (wire::equal_ignoring_case(schemes.front(), "https") ||
                              wire::equal_ignoring_case(schemes.front(), "wss"));
}

IpAddress Gateway::address_of(Handle handle) const {
  const Connection* connection = connections_.get(handle);
  return connection == nullptr ? IpAddress() : connection->address;
}

void Gateway::upgrade(Connection& connection, const wire::HttpRequest& request, const hub::Awaited& awaited) {
  const auto asked = wire::check_upgrade(request);
  if (!asked) return refuse_request(connection, asked.error());
  if (!wire::origin_allowed(request, options_.allowed_origins))
    return refuse_request(
        connection,
        {.status = 403, .code = name_of(ErrorCode::forbidden), .detail = "this origin is not allowed"});
  if (draining()) return refuse_request(connection, kDraining);

  const bool is_echo = request.path == "/echo";
  const auto negotiation = wire::negotiate_deflate(asked->extensions, options_.compression);
  const std::string accepted = wire::write_upgrade_response(
      wire::accept_key(asked->key), offers_subprotocol(*asked) ? kSubprotocol : std::string_view(),
      negotiation ? std::string_view(negotiation->response) : std::string_view());
  const auto use_deflate = [&] {
    if (!negotiation) return;
    const wire::DeflateAgreement& agreement = negotiation->agreement;
    if (options_.compression == wire::DeflateMode::shared && agreement.server_max_window_bits == 15) {
      connection.deflate = Connection::Deflate::shared;
      return;
    }
    using enum wire::DeflateContext;
    connection.deflate = Connection::Deflate::dedicated;
    connection.more().dedicated = std::make_unique<DedicatedDeflate>(
        DedicatedDeflate{.inflater = wire::Inflater(agreement.client_no_context_takeover ? reset : keep,
                                                    agreement.client_max_window_bits),
                         .deflater = wire::Deflater(agreement.server_no_context_takeover ? reset : keep,
                                                    agreement.server_max_window_bits)});
  };
  if (is_echo) {
    use_deflate();
    become_websocket(connection, accepted);
    connection.state = Connection::State::echo;
    connection.reader = wire::MessageReader(&echo_limits_);
    // A reply that the socket takes in part is copied.
    connection.stream.set_unsent_limit(kBufferBytes);
    return;
  }

  if (shared_.limits.overload().refuses_connections()) {
    shared_.limits.overload().note_refused_connection();
    return refuse_request(connection, {.status = 503,
                                       .code = name_of(ErrorCode::unavailable),
                                       .detail = "the server is overloaded",
                                       .retry_after_ms = kRetryAfterMs});
  }
  const IpAddress client = client_of(connection, request);
  const std::optional<std::string> token = token_of(request, *asked);
  const hub::TenantId tenant_id = find_tenant_(request.headers.find("host").value_or(""), token.value_or(""));
  hub::Tenant& tenant = tenants_[tenant_id];

  // Says on the new WebSocket why it ends at once: a browser can't read the status of a failed upgrade.
  const auto accept_and_close = [&](std::string_view message, std::string_view reason) {
    use_deflate();
    become_websocket(connection, accepted);
    if (!message.empty()) send_frame(connection, wire::Opcode::text, message);
    start_close(connection, 1008, reason);
  };
  std::int64_t blocked_ms = 0;
  if (shared_.attempts.blocked(client, now_ms(), blocked_ms)) {
    if (options_.reject_with_http)
      return refuse_request(connection, {.status = 429,
                                         .code = name_of(ErrorCode::rate_limited),
                                         .detail = guard::Attempts::kBlockedReason,
                                         .retry_after_ms = blocked_ms});
    return accept_and_close({}, guard::Attempts::kBlockedReason);
  }

  auth::IdentityPtr identity;
  if (token) {
    auto verdict = hub::judge_token(tenant, shared_.users, shared_.keys, *token, loop_.now(), awaited);
    if (!verdict && verdict.error().wait != hub::Wait::no)
      return wait_for(connection, tenant_id, verdict.error());
    if (!verdict) {
      const Error& error = verdict.error().error;
      sessions_->note_refused_token(tenant_id, client, error, loop_.now());
      if (options_.reject_with_http)
        return refuse_request(connection, {.status = http_status_of(error.code),
                                           .code = name_of(error.code),
                                           .detail = meaning_of(error.code),
                                           .retry_after_ms = error.retry_after_ms});
      return accept_and_close(protocol::auth_error_message(error, {}), name_of(error.code));
    }
    identity = std::move(*verdict);
  }

  if (const auto full = admit(connection, client, tenant)) return refuse_request(connection, *full);
  connection.accepts_brotli = wire::query_parameter(request.query, "accept") == "br";
  use_deflate();
  become_websocket(connection, accepted);
  sessions_->open(connection.handle,
                  {.tenant = tenant_id,
                   .connection_id = random_.next(),
                   .identity = std::move(identity),
                   .address = client,
                   .manual_inbox = wire::query_parameter(request.query, "inbox") == "manual"},
                  loop_.now());
}

void Gateway::wait_for(Connection& connection, hub::TenantId tenant, const hub::Refusal& refusal) {
  connection.http->upgrade_waits = true;
  if (refusal.wait == hub::Wait::user)
    return ask_user(connection.handle, tenant, std::string(refusal.identity->user_id));
  waiting_upgrades_.emplace_back(tenant, connection.handle);
  fetch_keys_(tenant);
}

std::optional<wire::HttpProblem> Gateway::admit(Connection& connection, const IpAddress& client,
                                                const hub::Tenant& tenant) {
  switch (shared_.limits.admit_connection(shared_.keys.address(client), shared_.keys.tenant(tenant.name),
                                          tenant.limits.guard, now_ms())) {
    case guard::Admission::admitted:
      break;
    case guard::Admission::user_full:
    case guard::Admission::server_full:
    case guard::Admission::tenant_full:
      return wire::HttpProblem{.status = 503,
                               .code = name_of(ErrorCode::unavailable),
                               .detail = "the server is full",
                               .retry_after_ms = kRetryAfterMs};
    case guard::Admission::address_full:
      return wire::HttpProblem{.status = 429,
                               .code = name_of(ErrorCode::connection_limit),
                               .detail = "too many connections from this address",
                               .retry_after_ms = kRetryAfterMs};
  }
  connection.admitted = true;
  connection.address = client;
  connection.tenant = tenant.id;
  return std::nullopt;
}

void Gateway::release(Connection& connection) {
  if (!connection.admitted) return;
  connection.admitted = false;
  shared_.limits.release_connection(shared_.keys.address(connection.address),
                                    shared_.keys.tenant(tenants_[connection.tenant].name));
}

void Gateway::become_websocket(Connection& connection, std::string_view response) {
  outbox_of(connection).add_reply(response, {});
  connection.state = Connection::State::websocket;
  connection.reader = wire::MessageReader(&reader_limits_[connection.tenant]);
  retired_http_.push_back(std::move(connection.http));  // the request being read is still in it
  connection.begun_ms = 0;
  connection.ping_due_ms = now_ms() + options_.heartbeat_ms;
  reschedule(connection);
}

}  // namespace tidewire::gateway
