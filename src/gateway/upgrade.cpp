// From an HTTP request to a WebSocket, and who asks for it or for an event stream (protocol §2).

#include <optional>

#include "gateway/gateway.h"
#include "gateway/refusal.h"
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

// The first of the three ways that is present counts (protocol §2). A stream has no subprotocols.
std::optional<std::string> token_of(const wire::HttpRequest& request,
                                    std::span<const std::string_view> subprotocols) {
  if (const auto bearer = wire::bearer_token(request.headers)) return std::string(*bearer);
  for (const std::string_view offered : subprotocols)
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
    return refuse_request(connection, problem_of(ErrorCode::forbidden, "this origin is not allowed"));
  if (draining()) return refuse_request(connection, kDraining);
  if (request.path == "/echo") return become_echo(connection, *asked);

  auto opening = judge(connection, request, asked->subprotocols, awaited);
  if (!opening) return refuse_upgrade(connection, *asked, opening.error());
  if (!*opening) return;  // it waits
  if (const auto full = admit(connection, (*opening)->address, tenants_[(*opening)->tenant]))
    return refuse_request(connection, *full);
  connection.accepts_brotli = wire::query_parameter(request.query, "accept") == "br";
  become_websocket(connection, *asked);
  (*opening)->connection_id = random_.next();
  sessions_->open(connection.handle, std::move(**opening), loop_.now());
}

// A browser can't read the status of a failed upgrade, so it is the new WebSocket that says why it ends.
void Gateway::refuse_upgrade(Connection& connection, const wire::UpgradeRequest& asked,
                             const RefusedAsker& refused) {
  if (refused.reason.empty() || options_.reject_with_http)
    return refuse_request(connection, refused.answer());
  become_websocket(connection, asked);
  if (refused.token)
    send_frame(connection, wire::Opcode::text, protocol::auth_error_message(*refused.token, {}));
  start_close(connection, 1008, refused.reason);
}

std::expected<std::optional<hub::Opening>, Gateway::RefusedAsker> Gateway::judge(
    Connection& connection, const wire::HttpRequest& request, std::span<const std::string_view> subprotocols,
    const hub::Awaited& awaited) {
  if (shared_.limits.overload().refuses_connections()) {
    shared_.limits.overload().note_refused_connection();
    return std::unexpected(RefusedAsker{
        .problem = problem_of(ErrorCode::unavailable, "the server is overloaded", kRetryAfterMs)});
  }
  const IpAddress client = client_of(connection, request);
  const std::optional<std::string> token = token_of(request, subprotocols);
  const hub::TenantId tenant_id = find_tenant_(request.headers.find("host").value_or(""), token.value_or(""));
  std::int64_t blocked_ms = 0;
  if (shared_.attempts.blocked(client, now_ms(), blocked_ms))
    return std::unexpected(RefusedAsker{
        .problem = problem_of(ErrorCode::rate_limited, guard::Attempts::kBlockedReason, blocked_ms),
        .reason = guard::Attempts::kBlockedReason});

  auth::IdentityPtr identity;
  if (token) {
    auto verdict =
        hub::judge_token(tenants_[tenant_id], shared_.users, shared_.keys, *token, loop_.now(), awaited);
    if (!verdict && verdict.error().wait != hub::Wait::no) {
      wait_for(connection, tenant_id, verdict.error());
      return std::nullopt;
    }
    if (!verdict) return std::unexpected(refused_token(tenant_id, client, std::move(verdict.error().error)));
    identity = std::move(*verdict);
  }
  return hub::Opening{.tenant = tenant_id,
                      .connection_id = 0,
                      .identity = std::move(identity),
                      .address = client,
                      .manual_inbox = wire::query_parameter(request.query, "inbox") == "manual"};
}

wire::HttpProblem Gateway::RefusedAsker::answer() const {
  wire::HttpProblem said = problem;
  if (token && !token->message.empty()) said.detail = token->message;
  return said;
}

Gateway::RefusedAsker Gateway::refused_token(hub::TenantId tenant, const IpAddress& client, Error&& error) {
  sessions_->note_refused_token(tenant, client, error, loop_.now());
  return {.problem = problem_of(error.code, meaning_of(error.code), error.retry_after_ms),
          .reason = name_of(error.code),
          .token = std::move(error)};
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
      return problem_of(ErrorCode::unavailable, "the server is full", kRetryAfterMs);
    case guard::Admission::address_full:
      return problem_of(ErrorCode::connection_limit, "too many connections from this address", kRetryAfterMs);
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

void Gateway::become_websocket(Connection& connection, const wire::UpgradeRequest& asked) {
  const auto negotiation = wire::negotiate_deflate(asked.extensions, options_.compression);
  if (negotiation) use_deflate(connection, negotiation->agreement);
  const std::string_view subprotocol = offers_subprotocol(asked) ? kSubprotocol : std::string_view();
  const std::string_view extensions =
      negotiation ? std::string_view(negotiation->response) : std::string_view();
  outbox_of(connection)
      .add_reply(wire::write_upgrade_response(wire::accept_key(asked.key), subprotocol, extensions), {});
  connection.state = Connection::State::websocket;
  connection.reader = wire::MessageReader(&reader_limits_[connection.tenant]);
  leave_http(connection);
  reschedule(connection);
}

void Gateway::use_deflate(Connection& connection, const wire::DeflateAgreement& agreement) {
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
}

void Gateway::become_echo(Connection& connection, const wire::UpgradeRequest& asked) {
  become_websocket(connection, asked);
  connection.state = Connection::State::echo;
  connection.reader = wire::MessageReader(&echo_limits_);
  // A reply that the socket takes in part is copied.
  connection.stream.set_unsent_limit(kBufferBytes);
}

}  // namespace tidewire::gateway
