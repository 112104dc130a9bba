#include "gateway/gateway.h"

#include <sys/epoll.h>

#include <algorithm>

#include "telemetry/log.h"
#include "wire/brotli.h"
#include "wire/frame.h"
#include "wire/http_response.h"
#include "wire/sse.h"

namespace tidewire::gateway {

namespace {
constexpr std::int64_t kComeBackMs = 1000;     // after a drain
constexpr std::size_t kCopiedDelivery = 4096;  // up to here a copy is cheaper than a reference
constexpr std::size_t kBrotliAbove = 4096;     // protocol §5, `?accept=br`

bool is_brotli_type(std::string_view json) {
  using namespace std::string_view_literals;
  for (const std::string_view start :
       {R"({"type":"subscribed",)"sv, R"({"type":"snapshot",)"sv, R"({"type":"history",)"sv})
    if (json.starts_with(start)) return true;
  return false;
}

bool wants_brotli(std::string_view json) { return json.size() > kBrotliAbove && is_brotli_type(json); }

bool has_large_snapshot(const protocol::DeliveryBatch& batch, std::size_t first, std::size_t last) {
  for (std::size_t i = first; i < last; ++i)
    if (wants_brotli(batch.json(i))) return true;
  return false;
}
}  // namespace

Gateway::Gateway(GatewayOptions options, net::Loop& loop, hub::Tenants& tenants, hub::Sessions::Shared shared,
                 std::uint64_t seed)
    : loop_(loop),
      tenants_(tenants),
      shared_(shared),
      random_(seed),
      tenant_counts_(tenants.size()),
      reader_limits_(tenants.size()),
      // Nobody waits for a word on a discarded one, so a message that is too large ends the connection.
      echo_limits_{.message_bytes = std::size_t{64} << 20, .fragments = 1'000'000, .discards = false},
      buffer_(std::make_unique<char[]>(kBufferBytes)) {
  set_options(std::move(options));
  http_limits_.body_bytes = options_.http_body_bytes;
}

Gateway::~Gateway() {
  connections_.for_each([&](Handle, Connection& connection) {
    if (connection.stream.is_open()) loop_.remove(connection.stream.fd(), &connection);
    release(connection);
  });
}

void Gateway::connect(hub::Sessions& sessions, OnRequest on_request, OnHead on_head, OnAnswer on_answer,
                      FindTenant find_tenant, FetchKeys fetch_keys, AskUser ask_user) {
  sessions_ = &sessions;
  on_request_ = std::move(on_request);
  on_head_ = std::move(on_head);
  on_answer_ = std::move(on_answer);
  find_tenant_ = std::move(find_tenant);
  fetch_keys_ = std::move(fetch_keys);
  ask_user_ = std::move(ask_user);
}

void Gateway::set_options(GatewayOptions options) {
  options_ = std::move(options);
  for (const hub::Tenant& tenant : tenants_)
    reader_limits_[tenant.id] = {.message_bytes = tenant.limits.message_bytes,
                                 .fragments = options_.fragments};
}

void Gateway::accept(net::Stream stream, const IpAddress& peer) {
  const Handle handle = connections_.handle_of_next();
  const int fd = stream.fd();
  connections_.emplace(*this, handle, std::move(stream), peer, now_ms());
  Connection& connection = *connections_.get(handle);
  connection.http = std::make_unique<HttpStage>(&http_limits_);
  connection.begun_ms = now_ms();
  connection.interest = EPOLLIN;
  if (!loop_.add(fd, EPOLLIN, &connection)) {
    log::warn("connection could not be watched");
    connections_.erase(handle);
    return;
  }
  // Who comes when the drain is over is still answered, until the process ends.
  if (draining() && drain_by_ms_ > now_ms()) connection.more().close_by_ms = drain_by_ms_;
  reschedule(connection);
}

void Gateway::respond(Handle handle, const wire::HttpAnswer& response) {
  Connection* connection = connections_.get(handle);
  if (connection == nullptr || connection->state != Connection::State::http) return;
  HttpStage& stage = *connection->http;
  if (!stage.answering) on_answer_(stage.reader.request(), response.status);
  std::vector<wire::HttpField> fields;
  if (!response.body.empty()) fields.push_back({"Content-Type", response.content_type});
  for (const auto& [name, value] : response.fields) fields.push_back({name, value});
  const bool keep_alive = stage.keep_alive && !draining() && !connection->peer_closed;
  // What is the rule in HTTP/1.1 has to be said in 1.0 (RFC 9112 §C.2.2).
  if (keep_alive && stage.reader.request().version < 11) fields.push_back({"Connection", "keep-alive"});
  outbox_of(*connection)
      .add_reply(
          wire::write_http_response(
              response.status, fields, response.body, keep_alive ? wire::KeepAlive::yes : wire::KeepAlive::no,
              stage.head_only ? wire::ResponseBody::head_only : wire::ResponseBody::send),
          {});
  stage.answering = false;
  if (!keep_alive) return finish_close(*connection);
  if (connection->holding) holding_.push_back(handle);
  reschedule(*connection);
}

Outbox& Gateway::outbox_of(Connection& connection) {
  touch(connection);
  if (!connection.outbox) {
    if (spare_outboxes_.empty()) {
      connection.outbox = std::make_unique<Outbox>();
    } else {
      connection.outbox = std::move(spare_outboxes_.back());
      spare_outboxes_.pop_back();
    }
  }
  return *connection.outbox;
}

void Gateway::touch(Connection& connection) {
  if (connection.touched) return;
  connection.touched = true;
  touched_.push_back(connection.handle);
}

void Gateway::send_frame(Connection& connection, wire::Opcode opcode, std::string_view payload,
                         bool compressed) {
  char header[wire::kMaxFrameHeaderBytes];
  const std::size_t size = wire::write_frame_header(header, opcode, payload.size(), compressed);
  outbox_of(connection).add_reply(std::string_view(header, size), payload);
}

void Gateway::send(Handle handle, std::string_view json) {
  Connection* connection = connections_.get(handle);
  if (connection != nullptr && connection->state == Connection::State::sse)
    return send_event(*connection, json);
  if (connection == nullptr || connection->state != Connection::State::websocket) return;
  ++counts_of(*connection).messages_out;
  if (connection->accepts_brotli && wants_brotli(json)) {
    if (const std::string compressed = wire::brotli_compress(json); !compressed.empty())
      return send_frame(*connection, wire::Opcode::binary, compressed);
  }
  if (connection->deflate != Connection::Deflate::none && json.size() >= options_.compression_min_bytes) {
    wire::Deflater& deflater = deflater_of(*connection);
    // A context that is kept has seen the message, so it must then be sent as it came out.
    if (deflater.deflate(json, deflated_) &&
        (connection->deflate == Connection::Deflate::dedicated || deflated_.size() < json.size()))
      return send_frame(*connection, wire::Opcode::text, deflated_, true);
  }
  send_frame(*connection, wire::Opcode::text, json);
}

bool Gateway::push(Handle handle, protocol::DeliveryBatch& batch, std::size_t first, std::size_t last,
                   Lane lane) {
  Connection* connection = connections_.get(handle);
  if (connection != nullptr && lane.channel && in_pause(*connection, lane)) return false;
  if (connection != nullptr && connection->state == Connection::State::sse)
    return push_events(*connection, batch, first, last, lane);
  if (connection == nullptr || connection->state != Connection::State::websocket) return true;
  if (connection->outbox && !has_room(*connection)) return false;
  if (connection->deflate == Connection::Deflate::dedicated) {
    for (std::size_t i = first; i < last; ++i) send(handle, batch.json(i));
    return true;
  }
  counts_of(*connection).messages_out += last - first;
  if (connection->accepts_brotli && has_large_snapshot(batch, first, last)) {
    push_brotli(*connection, batch, first, last, lane);
    return true;
  }
  const auto frames = connection->deflate == Connection::Deflate::none
                          ? batch.plain(first, last)
                          : batch.deflated(first, last, shared_deflater_, options_.compression_min_bytes);
  if (write_through_ && !connection->outbox) {
    const net::IoResult result = connection->stream.write(frames.bytes);
    if (result.status == net::IoStatus::failed) {
      lose(*connection);
      return true;
    }
    counts_of(*connection).bytes_out += result.bytes;
    if (result.bytes < frames.bytes.size()) {
      outbox_of(*connection)
          .begin_with(batch.keep(frames), frames.offset + result.bytes, frames.bytes.size() - result.bytes);
    }
    return true;
  }
  Outbox& outbox = outbox_of(*connection);
  if (outbox.copies_deliveries() && frames.bytes.size() <= kCopiedDelivery)
    outbox.copy_delivery(frames.bytes);
  else
    outbox.keep_delivery(lane.priority, batch.keep(frames), frames.offset, frames.bytes.size(), lane.channel);
  return true;
}

// The batch with its large snapshots as Brotli, made for this connection alone. It takes the lane of all
// deliveries, so that none of the channel's goes past another.
void Gateway::push_brotli(Connection& connection, protocol::DeliveryBatch& batch, std::size_t first,
                          std::size_t last, Lane lane) {
  std::string frames;
  for (std::size_t i = first; i < last; ++i) {
    const std::string_view json = batch.json(i);
    std::string compressed;
    if (wants_brotli(json)) compressed = wire::brotli_compress(json);
    if (compressed.empty()) {
      frames += connection.deflate == Connection::Deflate::none
                    ? batch.plain(i, i + 1).bytes
                    : batch.deflated(i, i + 1, shared_deflater_, options_.compression_min_bytes).bytes;
      continue;
    }
    char header[wire::kMaxFrameHeaderBytes];
    frames.append(header, wire::write_frame_header(header, wire::Opcode::binary, compressed.size()));
    frames += compressed;
  }
  Outbox& outbox = outbox_of(connection);
  const std::size_t size = frames.size();
  if (outbox.copies_deliveries())
    outbox.copy_delivery(frames);
  else
    outbox.keep_delivery(lane.priority, SharedBytes(frames), 0, size, lane.channel);
}

void Gateway::drop(Handle handle, Lane lane) {
  Connection* connection = connections_.get(handle);
  if (connection != nullptr && connection->outbox) connection->outbox->drop(lane.priority, lane.channel);
  if (connection != nullptr && connection->extras().sse)
    connection->extras().sse->drop(lane.priority, lane.channel);
}

void Gateway::hurry(Handle handle, Lane lane) {
  Connection* connection = connections_.get(handle);
  if (connection != nullptr && connection->outbox) connection->outbox->hurry(lane.priority, lane.channel);
  if (connection == nullptr || !connection->extras().sse) return;
  connection->extras().sse->hurry(lane.priority, lane.channel);
  touch(*connection);
}

void Gateway::notify_when_drained(Handle handle) {
  Connection* connection = connections_.get(handle);
  if (connection == nullptr) return;
  connection->notify_drained = true;
  touch(*connection);
}

void Gateway::close(Handle handle, std::uint16_t code, std::string_view reason) {
  Connection* connection = connections_.get(handle);
  if (connection == nullptr) return;
  // One that has not begun is answered by open_stream().
  if (connection->state == Connection::State::sse && connection->extras().sse->has_begun())
    return finish_close(*connection);
  start_close(*connection, code, reason);
}

void Gateway::deadline_changed(Handle handle) {
  if (Connection* connection = connections_.get(handle)) reschedule(*connection);
}

void Gateway::fetch_keys(hub::TenantId tenant, std::string_view) { fetch_keys_(tenant); }

void Gateway::ask_user(Handle connection, hub::TenantId tenant, const std::string& user_id) {
  waiting_users_.emplace(shared_.keys.user(tenants_[tenant].name, user_id), connection);
  ask_user_(tenant, user_id);
}

void Gateway::note_refused_token(const IpAddress& client, const Error& error) {
  log::info("token refused",
            {{"code", name_of(error.code)}, {"reason", error.message}, {"address", client.text()}});
}

void Gateway::note_turned_away(const IpAddress& client, std::int64_t for_ms) {
  log::warn("address turned away",
            {{"reason", guard::Attempts::kBlockedReason}, {"address", client.text()}, {"for_ms", for_ms}});
}

void Gateway::end_turn() {
  // Resumed input may cause deliveries, so it comes first; what it causes is looked at next turn.
  std::vector<Handle> holding;
  holding.swap(holding_);
  for (const Handle handle : holding) {
    Connection* connection = connections_.get(handle);
    if (connection != nullptr) resume(*connection);
  }

  // One channel's deliveries and nothing else: they need no queue on the way to the socket. With more,
  // a connection may get several, and is written to once behind all of them.
  write_through_ = sessions_->waiting_channels() == 1;
  sessions_->flush();
  write_through_ = false;

  for (std::size_t i = 0; i < touched_.size(); ++i) {
    Connection* connection = connections_.get(touched_[i]);
    if (connection == nullptr) continue;
    connection->touched = false;
    flush(*connection);
  }
  touched_.clear();

  std::vector<Handle> drained;
  drained.swap(drained_);
  for (const Handle handle : drained) sessions_->on_drained(handle, loop_.now());

  std::vector<Handle> ended;
  ended.swap(ended_);
  for (const Handle handle : ended) sessions_->close(handle, loop_.now());

  for (const Handle handle : gone_) connections_.erase(handle);
  gone_.clear();
  retired_http_.clear();

  // What flushing has set free is the next turn's, which then does not wait.
  if (!holding_.empty() || !touched_.empty() || sessions_->has_more()) loop_.defer([] {});
}

void Gateway::drain(std::int64_t within_ms) {
  if (draining()) return;
  drain_by_ms_ = now_ms() + within_ms;
  // Spread over the drain, so that the clients do not all come back at once.
  std::size_t i = 0;
  const std::size_t count = std::max<std::size_t>(connections_.size(), 1);
  std::vector<Handle> idle;
  connections_.for_each([&](Handle handle, Connection& connection) {
    const std::int64_t after_ms =
        within_ms * static_cast<std::int64_t>(++i) / static_cast<std::int64_t>(count);
    if (connection.state == Connection::State::websocket) {
      sessions_->announce_drain(handle, after_ms);
      connection.more().close_by_ms = now_ms() + after_ms;
      reschedule(connection);
    } else if (connection.state == Connection::State::sse) {
      sessions_->announce_drain(handle, after_ms);
      // A browser gives a stream up for good when it is answered 503, so none comes back before the drain
      // is over, and they come spread as they were closed.
      std::string retry;
      wire::append_sse_retry(retry, within_ms + kComeBackMs);
      send_lines(connection, retry);
      connection.more().close_by_ms = now_ms() + after_ms;
      reschedule(connection);
    } else if (connection.state == Connection::State::http) {
      connection.more().close_by_ms = drain_by_ms_;
      reschedule(connection);
      const bool under_way = connection.http->answering || connection.http->upgrade_waits;
      if (connection.begun_ms == 0 && !under_way && !connection.holding) idle.push_back(handle);
    }
  });
  // Kept-alive ones that nobody uses. A request may have come that was not read yet: it gets its answer.
  for (const Handle handle : idle) {
    Connection& connection = *connections_.get(handle);
    on_readable(connection);
    if (connection.state == Connection::State::http && connection.begun_ms == 0 &&
        !connection.http->answering)
      finish_close(connection);
  }
}

}  // namespace tidewire::gateway
