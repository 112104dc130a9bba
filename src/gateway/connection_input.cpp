// From bytes to requests and messages.

#include <sys/epoll.h>

#include "gateway/gateway.h"
#include "gateway/refusal.h"
#include "wire/frame.h"
#include "wire/http_response.h"

namespace tidewire::gateway {

namespace {
// A connection's share of a turn. What a busy one leaves is taken in the next turn, when the others
// have had theirs.
constexpr std::size_t kReadBytes = 64 * 1024;
}  // namespace

bool Gateway::has_more_to_say(const Connection& connection) {
  return connection.outbox != nullptr || connection.stream.wants_write() ||
         (connection.state == Connection::State::http && connection.http->answering);
}

// Who asks without reading the answers is not read from either, until half of the budget is free again.
bool Gateway::answers_pile_up(const Connection& connection) const {
  return connection.outbox && connection.outbox->queued() >= 2 * options_.outbound_bytes;
}

void Gateway::on_readable(Connection& connection) {
  const bool is_echo = connection.state == Connection::State::echo;
  for (int reads = 0; reads < 4; ++reads) {
    const std::span<char> room(buffer_.get(), is_echo ? kBufferBytes : kReadBytes);
    const net::IoResult result = connection.stream.read(room);
    if (result.status == net::IoStatus::would_block) break;
    // An event stream has no end but that of its client, and no other sign of it.
    if (result.status == net::IoStatus::closed && connection.state != Connection::State::sse &&
        has_more_to_say(connection)) {
      // The client has ended its side only; it still reads.
      connection.peer_closed = true;
      connection.update_interest();
      return;
    }
    if (!result.ok()) return lose(connection);
    counts_of(connection).bytes_in += result.bytes;
    connection.last_life_ms = now_ms();
    on_bytes(connection, room.first(result.bytes));
    if (connection.state == Connection::State::gone) return;
    // A full buffer may mean that there is more; so does TLS, which reads whole records.
    if (connection.holding || connection.peer_closed) break;
    if (result.bytes < room.size() && !connection.stream.has_buffered_input()) break;
  }
  if (connection.stream.has_buffered_input() && !connection.holding) {
    // epoll does not know of what TLS holds.
    connection.holding = true;
    holding_.push_back(connection.handle);
  }
  connection.update_interest();
}

void Gateway::on_bytes(Connection& connection, std::span<char> bytes) {
  if (connection.state == Connection::State::http) {
    while (connection.state == Connection::State::http)
      if (take_http(connection, bytes) == Progress::stop) break;
  }
  if (connection.state == Connection::State::websocket) take_messages(connection, bytes);
  if (connection.state == Connection::State::echo) take_echo(connection, bytes);
  // Nothing is to come behind the request of a stream.
  if (connection.state == Connection::State::sse && !connection.extras().sse->tolerates(bytes.size()))
    return lose(connection);
  if (connection.state == Connection::State::closing && connection.close_sent && !connection.peer_closed) {
    // Only the peer's close frame still matters.
    using Type = wire::MessageReader::Event::Type;
    while (true) {
      const auto event = connection.reader.next(bytes, nullptr);
      if (event.type == Type::close || event.type == Type::failed) return finish_close(connection);
      if (event.type == Type::need_more) break;
    }
  }
}

// ---- HTTP ----

Gateway::Progress Gateway::take_http(Connection& connection, std::span<char>& chunk) {
  HttpStage& stage = *connection.http;
  if (stage.answering || stage.upgrade_waits || answers_pile_up(connection)) {
    hold(connection, chunk);
    return Progress::stop;
  }
  if (chunk.empty()) return Progress::stop;
  if (connection.begun_ms == 0) {
    connection.begun_ms = now_ms();
    reschedule(connection);
  }
  if (!stage.reader.in_request()) stage.late = draining();
  using Type = wire::HttpReader::Event::Type;
  const auto event = stage.reader.next(chunk);
  stage.reader.request().over_tls = is_over_tls(connection, stage.reader.request());
  switch (event.type) {
    case Type::need_more:
      refuse_by_head(connection);
      return Progress::stop;
    case Type::expect_continue:
      if (refuse_by_head(connection)) return Progress::stop;
      outbox_of(connection).add_reply("HTTP/1.1 100 Continue\r\n\r\n", {});
      return Progress::go_on;
    case Type::failed:
      stage.head_only = stage.reader.request().method == "HEAD";
      refuse_request(connection, event.problem);
      return Progress::stop;
    case Type::request:
      break;
  }
  connection.begun_ms = 0;
  const wire::HttpRequest& request = stage.reader.request();
  stage.keep_alive = request.keep_alive;
  stage.head_only = request.method == "HEAD";
  if (is_too_late(connection, request)) {
    refuse_request(connection, kDraining);
  } else if (!change_over(connection, request, {})) {
    stage.answering = true;
    on_request_(connection.handle, request, client_of(connection, request));
  }
  return Progress::go_on;
}

// A body is not taken from somebody who may not send it: the answer goes out, what still comes of the body
// is thrown away, and the connection ends.
bool Gateway::refuse_by_head(Connection& connection) {
  HttpStage& stage = *connection.http;
  const wire::HttpRequest* head = stage.reader.without_body();
  if (head == nullptr) return false;
  stage.head_only = head->method == "HEAD";
  if (is_too_late(connection, *head)) {
    refuse_request(connection, kDraining);
    return true;
  }
  if (is_upgrade_path(head->path)) {
    refuse_request(
        connection,
        {.status = 400, .code = name_of(ErrorCode::invalid_message), .detail = "there must be no body here"});
    return true;
  }
  const auto refusal = on_head_(*head, client_of(connection, *head));
  if (!refusal) return false;
  stage.keep_alive = false;
  stage.answering = true;  // by on_head
  respond(connection.handle, *refusal);
  return true;
}

void Gateway::refuse_request(Connection& connection, const wire::HttpProblem& problem) {
  connection.http->keep_alive = false;
  respond(connection.handle, refusal_answer(problem, shared_fields(connection.http->reader.request(),
                                                                   options_.allowed_origins)));
}

bool Gateway::is_upgrade_path(std::string_view path) const {
  return path == "/ws" || path == "/api/ws" || (options_.echo && path == "/echo");
}

bool Gateway::is_too_late(const Connection& connection, const wire::HttpRequest& request) const {
  return connection.http->late && !served_in_drain(request.path);
}

bool Gateway::change_over(Connection& connection, const wire::HttpRequest& request,
                          const hub::Awaited& awaited) {
  if (request.path == "/sse") {
    open_stream(connection, request, awaited);
    return true;
  }
  if (!is_upgrade_path(request.path)) return false;
  upgrade(connection, request, awaited);
  return true;
}

// ---- WebSocket ----

wire::Inflater* Gateway::inflater_of(Connection& connection) {
  switch (connection.deflate) {
    case Connection::Deflate::none:
      return nullptr;
    case Connection::Deflate::shared:
      return &shared_inflater_;
    case Connection::Deflate::dedicated:
      return &connection.extras().dedicated->inflater;
  }
  return nullptr;
}

wire::Deflater& Gateway::deflater_of(Connection& connection) {
  return connection.deflate == Connection::Deflate::dedicated ? connection.extras().dedicated->deflater
                                                              : shared_deflater_;
}

void Gateway::take_messages(Connection& connection, std::span<char>& chunk) {
  while (connection.state == Connection::State::websocket) {
    if (!sessions_->can_take(connection.handle) || answers_pile_up(connection)) {
      hold(connection, chunk);
      break;
    }
    if (sessions_->has_rest(connection.handle)) {
      sessions_->take_rest(connection.handle, loop_.now());
      continue;
    }
    const auto event = connection.reader.next(chunk, inflater_of(connection));
    using Type = wire::MessageReader::Event::Type;
    if (event.type == Type::need_more) break;
    if (event.type == Type::message || event.type == Type::too_large) connection.begun_ms = 0;
    if (on_message(connection, event) == Progress::stop) {
      if (connection.holding && !chunk.empty()) hold(connection, chunk);
      break;
    }
  }
  if (connection.state != Connection::State::websocket) return;
  if (!connection.reader.in_message()) {
    connection.begun_ms = 0;
  } else if (connection.begun_ms == 0) {
    connection.begun_ms = now_ms();
    reschedule(connection);
  }
}

Gateway::Progress Gateway::on_message(Connection& connection, const wire::MessageReader::Event& event) {
  using Type = wire::MessageReader::Event::Type;
  const Handle handle = connection.handle;
  switch (event.type) {
    case Type::need_more:
      return Progress::stop;
    case Type::fragment:
      break;
    case Type::message:
      if (event.opcode == wire::Opcode::binary) {
        sessions_->on_malformed(handle, ErrorCode::invalid_message, "messages are text, not binary",
                                loop_.now());
      } else if (hand_in(connection, event.payload_text(), {})) {
        return Progress::stop;
      }
      break;
    case Type::too_large:
      sessions_->on_malformed(
          handle, ErrorCode::too_large,
          fmt::format("a message may have {} bytes", reader_limits_[connection.tenant].message_bytes),
          loop_.now());
      break;
    case Type::ping:
      send_frame(connection, wire::Opcode::pong, event.payload_text());
      break;
    case Type::pong:
      if (event.payload.size() == sizeof(std::int64_t)) {
        std::int64_t sent_us;
        std::memcpy(&sent_us, event.payload.data(), sizeof sent_us);
        const std::int64_t now_us = loop_.now().mono_us;
        // An unsolicited pong may say anything.
        if (sent_us <= now_us && sent_us > now_us - 2 * options_.heartbeat_ms * 1000) {
          connection.pings_waiting = 0;
          sessions_->on_round_trip(handle, now_us - sent_us);
        }
      }
      break;
    case Type::close:
      send_frame(connection, wire::Opcode::close, wire::encode_close(event.code));
      finish_close(connection);
      return Progress::stop;
    case Type::failed:
      fail_connection(connection, event.code, event.text);
      return Progress::stop;
  }
  if (connection.state != Connection::State::websocket) return Progress::stop;
  const std::int64_t pause_ms =
      connection.pacer.take(tenants_[sessions_->session(handle)->tenant].limits.guard, 1, now_ms());
  if (pause_ms > 0) {
    connection.holding = true;
    connection.more().resume_ms = now_ms() + pause_ms;
    reschedule(connection);
    return Progress::stop;
  }
  return Progress::go_on;
}

// What follows waits behind an `auth` that does, until it is handed in again.
bool Gateway::hand_in(Connection& connection, std::string_view message, const hub::Awaited& awaited) {
  const Handle handle = connection.handle;
  const hub::Sessions::Taken taken = sessions_->on_text(handle, message, loop_.now(), awaited);
  if (taken == hub::Sessions::Taken::yes) return false;
  const bool for_keys = taken == hub::Sessions::Taken::wait_for_keys;
  connection.holding = true;
  waiting_auth_[handle.bits()] = {.tenant = sessions_->session(handle)->tenant,
                                  .what = for_keys ? hub::Wait::keys : hub::Wait::user,
                                  .message = std::string(message)};
  connection.update_interest();
  return true;
}

// A bare echo for conformance suites and benchmarks: no rate, whole messages sent back as they came.
void Gateway::take_echo(Connection& connection, std::span<char>& chunk) {
  using Type = wire::MessageReader::Event::Type;
  while (connection.state == Connection::State::echo) {
    if (answers_pile_up(connection)) {
      hold(connection, chunk);
      return;
    }
    wire::MessageReader::Event event;
    if (!connection.outbox) {
      // Plain messages, as a rule all of them, are answered where they lie.
      char* const begin = chunk.data();
      char* end = begin;
      while (connection.reader.turn_round(chunk, end, event)) {
      }
      if (end != begin) write_now(connection, {begin, end});
      if (connection.state != Connection::State::echo) return;
    }
    if (event.type != Type::failed) event = connection.reader.next(chunk, inflater_of(connection));
    if (event.type == Type::need_more) return;
    if (event.type == Type::message) {
      const std::string_view payload = event.payload_text();
      const bool compressed = event.compressed && payload.size() >= options_.compression_min_bytes &&
                              deflater_of(connection).deflate(payload, deflated_);
      send_frame(connection, event.opcode, compressed ? std::string_view(deflated_) : payload, compressed);
    } else if (event.type == Type::ping) {
      send_frame(connection, wire::Opcode::pong, event.payload_text());
    } else if (event.type == Type::close) {
      send_frame(connection, wire::Opcode::close, wire::encode_close(event.code));
      finish_close(connection);
    } else if (event.type == Type::failed) {
      fail_connection(connection, event.code, event.text);
    }
  }
}

// To the socket at once; what it does not take waits.
void Gateway::write_now(Connection& connection, std::string_view bytes) {
  const net::IoResult result = connection.stream.write(bytes);
  if (result.status == net::IoStatus::failed) return lose(connection);
  counts_of(connection).bytes_out += result.bytes;
  if (result.bytes < bytes.size()) outbox_of(connection).add_reply(bytes.substr(result.bytes), {});
}

// ---- input that waits ----

void Gateway::hold(Connection& connection, std::span<char> rest) {
  connection.holding = true;
  if (!rest.empty()) {
    std::unique_ptr<std::string>& held = connection.more().held;
    if (!held) held = std::make_unique<std::string>();
    held->append(rest.data(), rest.size());
  }
  connection.update_interest();
}

void Gateway::resume(Connection& connection) {
  if (!connection.holding || connection.state == Connection::State::gone) return;
  if (connection.extras().resume_ms > now_ms() || waiting_auth_.contains(connection.handle.bits())) return;
  connection.clear(&ConnectionExtras::resume_ms);
  connection.holding = false;
  // Its silence was ours: nothing was read meanwhile.
  connection.last_life_ms = now_ms();
  if (connection.begun_ms != 0) connection.begun_ms = now_ms();
  if (connection.extras().held) {
    const auto held = std::move(connection.more().held);
    on_bytes(connection, std::span<char>(held->data(), held->size()));
    if (connection.state == Connection::State::gone) return;
  } else if (connection.state == Connection::State::websocket && sessions_->has_rest(connection.handle)) {
    std::span<char> none;
    take_messages(connection, none);
    if (connection.state == Connection::State::gone) return;
  }
  if (!connection.holding && connection.stream.has_buffered_input()) on_readable(connection);
  if (connection.state == Connection::State::gone) return;
  connection.update_interest();
  reschedule(connection);
}

void Gateway::keys_changed(hub::TenantId tenant) {
  for (const auto& [bits, waiting] : std::exchange(waiting_auth_, {})) {
    const Handle handle = Handle::from_bits(bits);
    Connection* connection = connections_.get(handle);
    if (connection == nullptr || connection->state != Connection::State::websocket) continue;
    if (waiting.tenant != tenant || waiting.what != hub::Wait::keys) {
      waiting_auth_.emplace(bits, waiting);
      continue;
    }
    if (hand_in(*connection, waiting.message, {.keys = true})) continue;
    if (connection->state == Connection::State::websocket) holding_.push_back(handle);
  }
  for (const auto& [of, handle] : std::exchange(waiting_upgrades_, {})) {
    Connection* connection = connections_.get(handle);
    if (connection == nullptr || connection->state != Connection::State::http) continue;
    if (of != tenant) {
      waiting_upgrades_.emplace_back(of, handle);
      continue;
    }
    connection->http->upgrade_waits = false;
    change_over(*connection, connection->http->reader.request(), {.keys = true});
    holding_.push_back(handle);
  }
}

void Gateway::user_answered(const guard::LimitKey& user, guard::UserState state) {
  const hub::Awaited awaited{.keys = true, .user = hub::Awaited::User{.key = user, .state = state}};
  const auto [first, last] = waiting_users_.equal_range(user);
  std::vector<Handle> waited;
  for (auto at = first; at != last; ++at) waited.push_back(at->second);
  waiting_users_.erase(first, last);
  for (const Handle handle : waited) {
    Connection* connection = connections_.get(handle);
    if (connection == nullptr) continue;
    if (connection->state == Connection::State::websocket) {
      const auto waiting = waiting_auth_.extract(handle.bits());
      if (waiting.empty() || hand_in(*connection, waiting.mapped().message, awaited)) continue;
    } else if (connection->state == Connection::State::http && connection->http->upgrade_waits) {
      connection->http->upgrade_waits = false;
      change_over(*connection, connection->http->reader.request(), awaited);
    }
    if (connection->state != Connection::State::gone) holding_.push_back(handle);
  }
}

}  // namespace tidewire::gateway
