// One connection: bytes in, frames out. It moves bytes and nothing else; who it is and what it is
// subscribed to is its session's business (hub/session.h).
//
// Life: http (requests, until an upgrade) → websocket, sse or echo → closing (a close frame or a last
// response is on its way; what still comes is thrown away) → gone. An idle WebSocket keeps no buffer.
// Owned by its shard's thread; named by a handle everywhere else.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/ip_address.h"
#include "base/slab.h"
#include "gateway/outbox.h"
#include "gateway/sse_stream.h"
#include "guard/connection_health.h"
#include "guard/frame_pacer.h"
#include "net/loop.h"
#include "net/stream.h"
#include "wire/http_reader.h"
#include "wire/message_reader.h"
#include "wire/permessage_deflate.h"

namespace tidewire::gateway {

class Gateway;

// What a connection needs only while it speaks HTTP.
struct HttpStage {
  explicit HttpStage(const wire::HttpLimits* limits) : reader(limits) {}
  wire::HttpReader reader;
  bool keep_alive = true;
  bool head_only = false;
  bool answering = false;      // a request is being answered; the next one waits
  bool upgrade_waits = false;  // an upgrade waits for keys
  bool late = false;           // the request began when the server was draining
};

// A pair of contexts that only this connection uses (`compression.mode = "dedicated"`).
struct DedicatedDeflate {
  wire::Inflater inflater;
  wire::Deflater deflater;
};

// What few connections come to need: event streams, contexts of their own, slow ones and those that close.
struct ConnectionExtras {
  std::unique_ptr<SseStream> sse;
  std::unique_ptr<DedicatedDeflate> dedicated;
  std::unique_ptr<std::string> held;  // bytes that were read and not looked at yet

  std::uint64_t acknowledged = 0;  // bytes by the peer's system, when it was last asked
  // The same once it has our first ping that is not answered; 0: that did not wait behind much else.
  std::uint64_t ping_end = 0;
  std::uint32_t delivered = 0;  // segments that had come to it, when it was last asked

  // Mono milliseconds; 0: does not apply.
  std::int64_t taken_ms = 0;      // while the socket is full: when it last took bytes
  std::int64_t acked_ms = 0;      // when the peer's system was last seen to have taken bytes
  std::int64_t look_ms = 0;       // while the socket is full: when that is asked next
  std::int64_t answer_by_ms = 0;  // likewise, over HTTP: the answer comes too slowly then
  std::int64_t resume_ms = 0;     // read again, when paced
  std::int64_t close_by_ms = 0;   // cut off then
  // Of deliveries in bursts (gateway/pace.cpp): none before the first; until the second, once it is set.
  std::int64_t pace_opens_ms = 0;
  std::int64_t pace_closes_ms = 0;
};

class Connection final : public net::Watcher, public net::LoopTimer {
 public:
  enum class State : std::uint8_t { http, websocket, sse, echo, closing, gone };
  enum class Deflate : std::uint8_t { none, shared, dedicated };

  Connection(Gateway& gateway, Handle handle, net::Stream stream, const IpAddress& peer, std::int64_t now_ms);

  void on_events(std::uint32_t events) override;
  void on_timer() override;

  // Bytes that wait for the socket.
  std::size_t queued() const {
    return (outbox ? outbox->queued() : 0) + (extras_ && extras_->sse ? extras_->sse->queued() : 0);
  }
  bool stalled() const { return outbox && outbox->stalled(); }

  // Interest in the socket follows from the state; called whenever it may have changed.
  void update_interest();

  // As if every connection had them; more() makes them.
  const ConnectionExtras& extras() const { return extras_ ? *extras_ : kNoExtras; }
  ConnectionExtras& more() {
    if (!extras_) extras_ = std::make_unique<ConnectionExtras>();
    return *extras_;
  }
  // The time no longer applies.
  void clear(std::int64_t ConnectionExtras::* time) {
    if (extras_) (*extras_).*time = 0;
  }

  // Hot: what a fan-out looks at.
  Gateway& gateway;
  std::unique_ptr<Outbox> outbox;
  net::Stream stream;
  Handle handle;
  State state = State::http;
  Deflate deflate = Deflate::none;
  bool touched = false;         // in the list of those to flush at the end of the turn
  bool notify_drained = false;  // the hub waits for room
  bool holding = false;         // input waits: for keys, for earlier replies, or for room
  bool admitted = false;        // counted in the limits
  bool peer_closed = false;     // its bytes are at an end, or both close frames are through
  bool close_sent = false;
  bool send_open = false;          // the circuit of its sending side: nothing more is queued for it
  bool accepts_brotli = false;     // `?accept=br` (protocol §5)
  std::uint8_t pings_waiting = 0;  // sent since the last that was answered
  guard::HealthStatus health = guard::HealthStatus::healthy;
  std::uint16_t interest = 0;  // what epoll was told
  hub::TenantId tenant = 0;    // in whose limits it is counted, once admitted

  wire::MessageReader reader;
  std::unique_ptr<HttpStage> http;
  guard::FramePacer pacer;
  IpAddress address;

  // Mono milliseconds; 0: does not apply.
  std::int64_t last_life_ms;  // of the peer: bytes came, or were taken
  std::int64_t ping_due_ms = 0;
  std::int64_t begun_ms = 0;  // of the unfinished message or request

 private:
  static const ConnectionExtras kNoExtras;
  std::unique_ptr<ConnectionExtras> extras_;
};
static_assert(sizeof(Connection) <= 192, "an idle connection keeps one of these");

}  // namespace tidewire::gateway
