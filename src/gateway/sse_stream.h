// What makes a connection an event stream (protocol §8 `/sse`): its channels, what of them it has
// delivered, and what waits because the socket is full.
//
// Messages become events only when their place on the wire is settled, since each event's `id:` says what
// was delivered before it and with it, in every channel. So what waits is kept as it came, replies apart
// from deliveries, and these by lane and by reference as in an Outbox; what is rendered goes into the
// outbox and keeps its order. Deliveries wait until every channel has been answered.
// No socket inside. Owned by its connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ring.h"
#include "gateway/lanes.h"
#include "protocol/request.h"
#include "protocol/resume_token.h"

namespace tidewire::gateway {

class SseStream {
 public:
  // At most protocol::kResumePositionsMax channels, with the positions that the client came with. `head` is
  // the response's, which goes out before whatever is rendered first.
  SseStream(std::string head, std::vector<protocol::SubscribeItem> channels);

  // Something has been said, or waits.
  bool has_begun() const { return head_.empty() || has_replies(); }

  // The channels that were not asked of the hub yet, in their order.
  bool has_next() const { return next_ < channels_.size(); }
  protocol::SubscribeItem take_next();
  // All channels are answered: deliveries may go out.
  void open() { open_ = true; }
  bool is_open() const { return open_; }

  // Appends a message as an event. `start` is, with `subscribed`, the seq up to which the client has the
  // channel with this message; without it the message moves no position there.
  void render(std::string& out, std::string_view json, std::optional<std::uint64_t> start = {});

  // What can't be rendered yet. Lines are text that is an event or a comment already.
  void keep_reply(std::string_view json, std::optional<std::uint64_t> start);
  void keep_lines(std::string_view lines);
  // A part of a batch of unmasked WebSocket text frames, as Outbox::keep_delivery().
  void keep_delivery(hub::Priority lane, SharedBytes frames, std::size_t offset, std::size_t size,
                     Handle channel);
  void drop(hub::Priority lane, Handle channel) { lanes_.drop(lane, channel); }
  // As Outbox::hurry().
  void hurry(hub::Priority lane, Handle channel);
  void drop_deliveries() { lanes_.clear(); }

  // Counts bytes that the client sends behind its request. False once they are more than idle talk.
  bool tolerates(std::size_t bytes) { return (input_bytes_ += bytes) <= kInputBytesMax; }

  // Bytes that wait; and whether any of them may be rendered now.
  std::size_t queued() const { return reply_bytes_ + lanes_.bytes(); }
  std::size_t queued_replies() const { return reply_bytes_; }
  bool has_replies() const { return !replies_.empty(); }
  bool can_render() const { return has_replies() || (open_ && !lanes_.empty()); }
  // Renders what waits, replies first, then lane by lane, until `out` has `bytes` or nothing is left.
  void render_waiting(std::string& out, std::size_t bytes);

 private:
  static constexpr std::size_t kInputBytesMax = 64 * 1024;

  struct Reply {
    std::string text;
    std::optional<std::uint64_t> start;
    bool is_lines = false;
  };
  void begin(std::string& out) { out += std::exchange(head_, {}); }
  // Moves the position in the message's channel; true when the event has an `id:`.
  bool note(std::string_view json, std::optional<std::uint64_t> start);

  std::string head_;
  std::vector<protocol::SubscribeItem> channels_;
  std::size_t next_ = 0;
  std::vector<std::uint64_t> keys_;  // of the channels
  protocol::ResumeToken token_;      // the positions of those that have one: what the next `id:` says
  bool open_ = false;
  Ring<Reply> replies_;
  std::size_t reply_bytes_ = 0;
  Lanes lanes_;
  std::size_t input_bytes_ = 0;
};

}  // namespace tidewire::gateway
