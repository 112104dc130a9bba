// What a connection has still to send. Exists only while there is something: an idle connection has
// none, and used ones are kept for the next turn.
//
// Order on the wire: first what was begun, then replies, then deliveries by lane. Until the socket is
// full everything is copied together in the order it comes (one write a turn); from then on deliveries
// are kept by reference, one buffer for all their readers. Bounded: deliveries are refused over the
// budget (the subscription goes behind), and over it the connection is no longer read, so replies end.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/lanes.h"
#include "net/stream.h"

namespace tidewire::gateway {

class Outbox {
 public:
  bool empty() const { return queued() == 0; }
  std::size_t queued() const {
    return (begun_.size() - begun_sent_) + piece_.size + replies_.size() + lanes_.bytes();
  }
  // The socket took less than there was.
  bool stalled() const { return stalled_; }

  // Replies, notices, control frames.
  void add_reply(std::string_view header, std::string_view payload);

  // Whether deliveries may still be copied behind what this turn has written, keeping their order.
  bool copies_deliveries() const { return !stalled_ && lanes_.empty(); }
  void copy_delivery(std::string_view frames) { begun_.append(frames); }
  // Keeps a reference to the part of `bytes` that begins at `offset`. `channel` names whose it is.
  void keep_delivery(hub::Priority lane, SharedBytes bytes, std::size_t offset, std::size_t size,
                     Handle channel);
  // What the socket did not take of a direct write; nothing else may be waiting.
  void begin_with(SharedBytes bytes, std::size_t offset, std::size_t size);

  // Drops the channel's deliveries that were not begun.
  void drop(hub::Priority lane, Handle channel) { lanes_.drop(lane, channel); }
  // Makes them replies, which go out before later ones.
  void hurry(hub::Priority lane, Handle channel) {
    lanes_.take(lane, channel, [this](std::string_view frames) { add_reply({}, frames); });
  }
  // Drops all deliveries that were not begun: the connection is closing.
  void drop_deliveries() { lanes_.clear(); }

  // Writes until all is out or the socket is full. failed: the connection is broken.
  net::IoStatus flush(net::Stream& stream, std::size_t& written);

  void clear();

 private:
  void consume(std::size_t bytes);

  std::string begun_;  // first on the wire
  std::size_t begun_sent_ = 0;
  Piece piece_;  // a delivery that the socket took in part
  std::string replies_;
  Lanes lanes_;
  bool stalled_ = false;
};

}  // namespace tidewire::gateway
