// Time, closing and flushing of connections (protocol §6, liveness and close codes).

#include <sys/epoll.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "gateway/gateway.h"
#include "wire/frame.h"
#include "wire/http_response.h"

namespace tidewire::gateway {

namespace {
constexpr std::size_t kSpareOutboxes = 1024;
// What an HTTP client must send of a body, or take of an answer, on the average of a long time: else it would
// keep that memory for as long as it likes.
constexpr std::int64_t kLeastBytesPerMs = 16;
constexpr std::int64_t kFreeBodyBytes = std::int64_t{64} << 10;
}  // namespace

// ---- time ----

void Gateway::reschedule(Connection& connection) {
  constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  std::int64_t at = kNever;
  const auto by = [&](std::int64_t deadline_ms) {
    if (deadline_ms != 0) at = std::min(at, deadline_ms);
  };
  const ConnectionExtras& extras = connection.extras();
  by(extras.close_by_ms);
  by(extras.resume_ms);
  if (connection.notify_drained) by(extras.pace_opens_ms);
  const bool stalled = connection.stalled();
  if (stalled && extras.taken_ms != 0) {
    by(extras.look_ms);
    by(extras.acked_ms + options_.write_timeout_ms);
    by(extras.answer_by_ms);
    if (has_send_circuit(connection) && !connection.send_open)
      by(extras.taken_ms + options_.send_failures * 1000);
  }
  switch (connection.state) {
    case Connection::State::http:
      by(request_due_ms(connection));
      break;
    case Connection::State::websocket:
      if (connection.begun_ms != 0 && !connection.holding)
        by(connection.begun_ms + options_.message_timeout_ms);
      by(sessions_->next_deadline_ms(connection.handle, loop_.now()));
      [[fallthrough]];
    case Connection::State::echo:
      by(connection.ping_due_ms);
      // As in on_timer(), or the timer would fire in vain until the socket has room.
      if (!stalled && !connection.holding) by(connection.last_life_ms + 2 * options_.heartbeat_ms);
      break;
    case Connection::State::sse:
      by(sessions_->next_deadline_ms(connection.handle, loop_.now()));
      by(connection.ping_due_ms);
      if (!stalled) by(connection.last_life_ms + 2 * options_.heartbeat_ms);
      break;
    case Connection::State::closing:
    case Connection::State::gone:
      break;
  }
  if (at == kNever)
    loop_.timers().cancel(connection);
  else
    loop_.timers().schedule(connection, at);
}

// When an HTTP client has kept us waiting for too long; 0: nothing is awaited from it. A head must be whole
// in time (protocol §2), a body may take as long as it keeps coming, and not at a trickle.
std::int64_t Gateway::request_due_ms(const Connection& connection) const {
  const HttpStage& stage = *connection.http;
  if (stage.answering || stage.upgrade_waits || connection.holding) return 0;
  if (connection.begun_ms == 0) return connection.last_life_ms + options_.idle_timeout_ms;
  const wire::HttpRequest* unfinished = stage.reader.without_body();
  if (unfinished == nullptr) return connection.begun_ms + options_.header_timeout_ms;
  std::int64_t since_ms = connection.last_life_ms;
  if (const auto come = static_cast<std::int64_t>(unfinished->body.size()); come > kFreeBodyBytes)
    since_ms = std::min(since_ms, connection.begun_ms + come / kLeastBytesPerMs);
  return since_ms + options_.message_timeout_ms;
}

void Gateway::on_timer(Connection& connection) {
  const std::int64_t now = now_ms();
  const auto over = [&](std::int64_t deadline_ms) { return deadline_ms != 0 && deadline_ms <= now; };
  const bool stalled = connection.stalled();

  const ConnectionExtras& extras = connection.extras();
  if (over(extras.close_by_ms)) return end_overdue(connection);
  // Bytes that it sends do not count: who talks and never listens is cut off too (protocol §6).
  if (stalled && extras.taken_ms != 0) {
    look_at_stall(connection);
    if (over(extras.answer_by_ms) || over(extras.acked_ms + options_.write_timeout_ms))
      return lose(connection);
  }
  if (stalled && has_send_circuit(connection)) takes_deliveries(connection);
  if (over(extras.resume_ms)) holding_.push_back(connection.handle);
  if (over(extras.pace_opens_ms)) {
    connection.clear(&ConnectionExtras::pace_opens_ms);
    if (connection.notify_drained) touch(connection);
  }

  switch (connection.state) {
    case Connection::State::http:
      if (over(request_due_ms(connection))) return end_request(connection);
      break;
    case Connection::State::websocket:
      if (connection.begun_ms != 0 && !connection.holding &&
          over(connection.begun_ms + options_.message_timeout_ms))
        return start_close(connection, 1008, "message_timeout");
      sessions_->on_timer(connection.handle, loop_.now());
      if (connection.state != Connection::State::websocket) return;
      [[fallthrough]];
    case Connection::State::echo:
      // While its socket is full, a peer's life is judged by the bytes it takes (protocol §5).
      if (!stalled && !connection.holding && over(connection.last_life_ms + 2 * options_.heartbeat_ms)) {
        if (!is_on_the_way(connection)) return start_close(connection, 1001, "heartbeat_timeout");
        connection.last_life_ms = now - options_.heartbeat_ms;
      }
      if (over(connection.ping_due_ms)) beat(connection);
      break;
    case Connection::State::sse:
      sessions_->on_timer(connection.handle, loop_.now());
      if (connection.state != Connection::State::sse) return;
      if (!stalled && has_vanished(connection)) return lose(connection);
      if (over(connection.ping_due_ms)) beat(connection);
      break;
    case Connection::State::closing:
    case Connection::State::gone:
      break;
  }
  reschedule(connection);
}

// Whether the peer's system has acknowledged bytes since it was asked last. Behind a lost segment, which on a
// slow link comes again only when all that is queued there is through, it takes others out of their order.
bool Gateway::has_acknowledged(Connection& connection, const net::Stream::Progress& progress) {
  ConnectionExtras& extras = connection.more();
  const bool in_order = std::exchange(extras.acknowledged, progress.acknowledged) != progress.acknowledged;
  return std::exchange(extras.delivered, progress.delivered) != progress.delivered || in_order;
}

// A slow peer that is still taking what lies in the socket before our ping can't have answered it; once it
// has taken that, it has a heartbeat for its answer.
bool Gateway::is_on_the_way(Connection& connection) {
  if (connection.extras().ping_end == 0) return false;
  const net::Stream::Progress progress = connection.stream.progress();
  if (progress.acknowledged >= connection.extras().ping_end) connection.more().ping_end = 0;
  return has_acknowledged(connection, progress);
}

// Behind how much our next ping will wait.
void Gateway::note_ping_end(Connection& connection) {
  constexpr std::size_t kFewPings = 4096;
  const bool is_first = connection.pings_waiting == 0;
  const net::Stream::Progress progress = connection.stream.progress();
  const bool waits = progress.outstanding > kFewPings;
  if (!waits && (!is_first || connection.extras().ping_end == 0)) return;
  ConnectionExtras& extras = connection.more();
  extras.ping_end = waits ? progress.acknowledged + progress.outstanding : 0;
  if (is_first) has_acknowledged(connection, progress);  // from here on
}

// An event stream's client never says a word: what its system acknowledges is its sign of life. One whose
// system says that there is no room is alive and takes nothing, so it has the time of those.
bool Gateway::has_vanished(Connection& connection) {
  const std::int64_t now = now_ms();
  const net::Stream::Progress progress = connection.stream.progress();
  const bool all_taken = progress.outstanding == 0;
  std::int64_t& acked_ms = connection.more().acked_ms;
  if (has_acknowledged(connection, progress) || all_taken || acked_ms == 0) acked_ms = now;
  connection.last_life_ms = all_taken ? now : now - progress.silent_ms;
  return now - connection.last_life_ms >= 2 * options_.heartbeat_ms ||
         now - acked_ms >= options_.write_timeout_ms;
}

// The connection goes on as a WebSocket or an event stream: the bounds of time of its requests and answers
// end, and its heartbeat begins.
void Gateway::leave_http(Connection& connection) {
  retired_http_.push_back(std::move(connection.http));  // the request being read is still in it
  connection.begun_ms = 0;
  connection.clear(&ConnectionExtras::answer_by_ms);
  connection.ping_due_ms = now_ms() + options_.heartbeat_ms;
}

// Asks the peer for a sign of life, or gives one where it can't answer. A full socket has no room for it.
void Gateway::beat(Connection& connection) {
  connection.ping_due_ms = now_ms() + options_.heartbeat_ms;
  if (connection.stalled()) return;
  if (connection.state == Connection::State::sse) return send_lines(connection, ": heartbeat\n\n");
  note_ping_end(connection);
  char sent_us[sizeof(std::int64_t)];
  std::memcpy(sent_us, &loop_.now().mono_us, sizeof sent_us);
  send_frame(connection, wire::Opcode::ping, std::string_view(sent_us, sizeof sent_us));
  if (connection.pings_waiting < UINT8_MAX) ++connection.pings_waiting;
}

// ---- flushing ----

// The circuit breaker of a connection's sending side (requirement P5). A second in which the socket takes
// nothing of what waits is a failure; so many in a row open it, and then nothing more is queued: what is
// delivered goes behind at once, not only when the budget is full. What lies queued is the probe that the
// system makes for us: as soon as the socket takes some of it, the circuit is closed.
bool Gateway::has_send_circuit(const Connection& connection) {
  return connection.state == Connection::State::websocket || connection.state == Connection::State::sse;
}

// Opens the circuit of the sending side when it is time.
bool Gateway::takes_deliveries(Connection& connection) {
  if (connection.send_open) return false;
  const std::int64_t taken_ms = connection.extras().taken_ms;
  if (taken_ms == 0 || now_ms() - taken_ms < options_.send_failures * 1000) return true;
  connection.send_open = true;
  ++counts_.send_circuits_open;
  ++counts_.send_circuits_opened;
  return false;
}

// Within the outbound budget. Where one turn alone has filled it, its socket has not been asked yet: a reader
// that takes bytes is not behind. Nothing else may happen here, in the middle of a fan-out, so what follows
// from a broken socket is left to the end of the turn, which finds it broken too.
bool Gateway::has_room(Connection& connection) {
  if (!takes_deliveries(connection)) return false;
  if (connection.queued() < options_.outbound_bytes) return true;
  if (!connection.outbox || connection.outbox->stalled()) return false;
  std::size_t written = 0;
  connection.outbox->flush(connection.stream, written);
  counts_of(connection).bytes_out += written;
  return connection.queued() < options_.outbound_bytes;
}

void Gateway::close_send_circuit(Connection& connection) {
  if (std::exchange(connection.send_open, false)) --counts_.send_circuits_open;
}

void Gateway::flush(Connection& connection) {
  if (connection.state == Connection::State::gone) return;
  std::size_t written = 0;
  net::IoStatus status = net::IoStatus::ok;
  if (connection.outbox)
    status = connection.outbox->flush(connection.stream, written);
  else if (connection.stream.wants_write())
    status = connection.stream.flush().status;
  if (connection.extras().sse && status == net::IoStatus::ok) status = flush_stream(connection, written);
  after_flush(connection, status, written);
}

// Since when the peer has taken nothing, and until when it must have taken more of its answer.
void Gateway::note_stall(Connection& connection, std::size_t written) {
  if (!connection.stalled()) {
    connection.clear(&ConnectionExtras::taken_ms);
    connection.clear(&ConnectionExtras::answer_by_ms);
    return;
  }
  ConnectionExtras& extras = connection.more();
  const std::int64_t now = now_ms();
  const bool begins = extras.taken_ms == 0;
  if (written > 0 || begins) extras.taken_ms = extras.acked_ms = now;
  // What waits for a WebSocket or a stream has a bound of its own (`limits.outbound_bytes`).
  if (begins && connection.http) extras.answer_by_ms = now + options_.write_timeout_ms;
  if (begins) look_at_stall(connection);
}

// What the peer has taken since the last look. The socket itself says so only when a good part of it is
// through, which on a slow link is far too late.
void Gateway::look_at_stall(Connection& connection) {
  constexpr std::int64_t kLooks = 4;  // in the time in which a peer must take something
  ConnectionExtras& extras = connection.more();
  const std::int64_t now = now_ms();
  extras.look_ms = now + std::max<std::int64_t>(options_.write_timeout_ms / kLooks, 1);
  const std::uint64_t before = extras.acknowledged;
  if (!has_acknowledged(connection, connection.stream.progress())) return;
  extras.acked_ms = now;
  if (extras.answer_by_ms == 0) return;
  const auto earned_ms = static_cast<std::int64_t>(extras.acknowledged - before) / kLeastBytesPerMs;
  extras.answer_by_ms = std::min(extras.answer_by_ms + earned_ms, now + options_.write_timeout_ms);
}

void Gateway::after_flush(Connection& connection, net::IoStatus status, std::size_t written) {
  if (status == net::IoStatus::failed) return lose(connection);
  counts_of(connection).bytes_out += written;
  const bool stalled = connection.stalled();
  if (stalled && written > 0) connection.last_life_ms = now_ms();
  note_stall(connection, written);
  if (!stalled || written > 0) close_send_circuit(connection);
  const std::size_t queued = connection.queued();
  if (connection.outbox && connection.outbox->empty()) {
    connection.outbox->clear();
    if (spare_outboxes_.size() < kSpareOutboxes) spare_outboxes_.push_back(std::move(connection.outbox));
    connection.outbox.reset();
  }
  if (queued <= options_.outbound_bytes / 2) {
    if (connection.notify_drained && !connection.send_open && connection.extras().pace_opens_ms <= now_ms()) {
      connection.notify_drained = false;
      drained_.push_back(connection.handle);
    }
    if (connection.holding) holding_.push_back(connection.handle);
  }
  // TLS may keep the end of a record that the socket did not take.
  const bool all_out = queued == 0 && !connection.stream.wants_write();
  // After its last byte only an HTTP client may still wait for an answer.
  const bool waits =
      connection.state == Connection::State::http && (connection.holding || has_more_to_say(connection));
  if (all_out && connection.peer_closed && !waits) return lose(connection);
  if (all_out && connection.state == Connection::State::closing) {
    // Our last word is out. Only our side is closed, and what still comes is read and thrown away: closing
    // a socket over unread bytes resets it, which takes back what the client has not received yet (RFC
    // 6455 §7.1.1). The client's end, or the timer, ends it.
    if (!connection.close_sent) connection.stream.shutdown_write();
    if (connection.extras().close_by_ms == 0)
      connection.more().close_by_ms = now_ms() + options_.close_timeout_ms;
  }
  if (connection.state == Connection::State::sse) follow_more(connection);
  connection.update_interest();
  if (stalled || connection.state == Connection::State::closing ||
      (connection.notify_drained && connection.extras().pace_opens_ms != 0))
    reschedule(connection);
}

// ---- closing ----

// Sends our close frame; the peer has a moment to answer it.
void Gateway::start_close(Connection& connection, std::uint16_t code, std::string_view reason) {
  if (connection.state != Connection::State::websocket && connection.state != Connection::State::echo) return;
  end_session(connection);
  if (connection.outbox) connection.outbox->drop_deliveries();
  send_frame(connection, wire::Opcode::close, wire::encode_close(code, reason));
  connection.state = Connection::State::closing;
  connection.close_sent = true;
  connection.holding = false;
  ConnectionExtras& extras = connection.more();
  extras.held.reset();
  extras.close_by_ms = now_ms() + options_.close_timeout_ms;
  connection.update_interest();
  reschedule(connection);
}

// The peer broke the protocol, so its bytes mean nothing any more: its close frame is not waited for.
void Gateway::fail_connection(Connection& connection, std::uint16_t code, std::string_view reason) {
  start_close(connection, code, reason);
  connection.close_sent = false;
}

// Nothing more is to be said: what is queued goes out, then the socket is closed.
void Gateway::finish_close(Connection& connection) {
  if (connection.state == Connection::State::gone) return;
  end_session(connection);
  if (connection.close_sent) connection.peer_closed = true;  // both close frames are through
  if (connection.outbox) connection.outbox->drop_deliveries();
  if (connection.extras().sse) connection.extras().sse->drop_deliveries();
  // A long HTTP response may take its time (write_timeout_ms); the rest begins once it is out.
  const bool is_response = connection.state == Connection::State::http;
  connection.state = Connection::State::closing;
  connection.holding = false;
  if (connection.extras().held) connection.more().held.reset();
  if (is_response)
    connection.clear(&ConnectionExtras::close_by_ms);
  else
    connection.more().close_by_ms = now_ms() + options_.close_timeout_ms;
  touch(connection);
  reschedule(connection);
}

// An idle client, or one whose request did not come in time (protocol §2).
void Gateway::end_request(Connection& connection) {
  if (connection.begun_ms == 0) return finish_close(connection);
  // In the midst of a TLS handshake there is no way to say 408, so there is nothing to wait for.
  if (!connection.stream.ready()) return lose(connection);
  refuse_request(connection, {.status = 408, .code = {}, .detail = "the request was not complete in time"});
}

// The time to close is over: of a drain, or of a peer that does not answer our close.
void Gateway::end_overdue(Connection& connection) {
  if (connection.state == Connection::State::sse) return finish_close(connection);
  if (connection.state == Connection::State::http) return end_late(connection);
  if (connection.state != Connection::State::websocket) return lose(connection);
  start_close(connection, 1012, "draining");
}

// Whoever is still sending a request is told why it ends; of one that is being carried out nothing is known.
void Gateway::end_late(Connection& connection) {
  HttpStage& stage = *connection.http;
  if (stage.answering || !connection.stream.ready()) return lose(connection);
  if (!stage.reader.in_request() && !stage.upgrade_waits) return finish_close(connection);
  stage.head_only = false;
  refuse_request(connection, kDraining);
}

// The connection is over, in whatever way: nothing of it is left when the turn ends.
void Gateway::lose(Connection& connection) {
  if (connection.state == Connection::State::gone) return;
  end_session(connection);
  close_send_circuit(connection);
  connection.state = Connection::State::gone;
  loop_.forget(&connection);
  connection.stream.close();
  loop_.timers().cancel(connection);
  waiting_auth_.erase(connection.handle.bits());
  gone_.push_back(connection.handle);
}

void Gateway::end_session(Connection& connection) {
  release(connection);
  if (connection.state == Connection::State::websocket || connection.state == Connection::State::sse)
    ended_.push_back(connection.handle);
}

}  // namespace tidewire::gateway
