// An event stream's way to the socket: what a stream does otherwise than a WebSocket.

#include "gateway/gateway.h"
#include "protocol/delivery_head.h"

namespace tidewire::gateway {

namespace {
constexpr std::size_t kRenderBytes = 64 * 1024;  // of what waits, per write
constexpr std::size_t kRenderedBytesKept = 256 * 1024;
}  // namespace

// Asks for the stream's channels, a few at a time: what their answers hold is not bounded otherwise. Its
// deliveries don't count, since they wait for the answers.
void Gateway::follow_more(Connection& connection) {
  SseStream& stream = *connection.extras().sse;
  const auto unsent_bytes = [&] {
    return stream.queued_replies() + (connection.outbox ? connection.outbox->queued() : 0);
  };
  while (stream.has_next() && unsent_bytes() < options_.outbound_bytes &&
         sessions_->can_take(connection.handle))
    sessions_->follow(connection.handle, stream.take_next(), loop_.now());
}

void Gateway::send_event(Connection& connection, std::string_view json) {
  SseStream& stream = *connection.extras().sse;
  ++counts_of(connection).messages_out;
  std::optional<std::uint64_t> start;
  const protocol::DeliveryHead head = protocol::read_delivery_head(json);
  if (head.type == "subscribed") {
    const auto missing = sessions_->first_missing(connection.handle, head.channel);
    if (missing && *missing > 0) start = *missing - 1;
  }
  Outbox& outbox = outbox_of(connection);
  if (outbox.stalled() || stream.has_replies()) return stream.keep_reply(json, start);
  rendered_.clear();
  stream.render(rendered_, json, start);
  send_rendered(connection);
}

void Gateway::send_rendered(Connection& connection) {
  if (!connection.outbox) outbox_of(connection);
  connection.outbox->copy_delivery(rendered_);
  if (rendered_.capacity() > kRenderedBytesKept) std::exchange(rendered_, {});
}

// Whatever else is said on a stream, or in its place.
void Gateway::send_lines(Connection& connection, std::string_view lines) {
  Outbox& outbox = outbox_of(connection);
  if (outbox.stalled() || connection.extras().sse->has_replies())
    return connection.extras().sse->keep_lines(lines);
  outbox.copy_delivery(lines);
}

bool Gateway::push_events(Connection& connection, protocol::DeliveryBatch& batch, std::size_t first,
                          std::size_t last, Lane lane) {
  if (!has_room(connection)) return false;
  SseStream& stream = *connection.extras().sse;
  counts_of(connection).messages_out += last - first;
  Outbox& outbox = outbox_of(connection);
  if (stream.is_open() && stream.queued() == 0 && !outbox.stalled()) {
    rendered_.clear();
    for (std::size_t i = first; i < last; ++i) stream.render(rendered_, batch.json(i));
    send_rendered(connection);
    return true;
  }
  const auto frames = batch.plain(first, last);
  stream.keep_delivery(lane.priority, batch.keep(frames), frames.offset, frames.bytes.size(), lane.channel);
  return true;
}

// Renders what waits, a piece at a time, for as long as the socket takes it.
net::IoStatus Gateway::flush_stream(Connection& connection, std::size_t& written) {
  SseStream& stream = *connection.extras().sse;
  if (!stream.is_open() && !stream.has_next() && sessions_->is_answered(connection.handle)) stream.open();
  while (stream.can_render()) {
    rendered_.clear();
    stream.render_waiting(rendered_, kRenderBytes);
    send_rendered(connection);
    const net::IoStatus status = connection.outbox->flush(connection.stream, written);
    if (status != net::IoStatus::ok) return status;
  }
  return net::IoStatus::ok;
}

}  // namespace tidewire::gateway
