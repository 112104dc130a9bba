#include "gateway/sse_stream.h"

#include <algorithm>

#include "protocol/delivery_head.h"
#include "wire/frame.h"
#include "wire/sse.h"

namespace tidewire::gateway {

SseStream::SseStream(std::string head, std::vector<protocol::SubscribeItem> channels)
    : head_(std::move(head)), channels_(std::move(channels)) {
  for (const protocol::SubscribeItem& item : channels_) {
    const std::uint64_t key = protocol::resume_key(item.channel);
    if (std::ranges::find(keys_, key) != keys_.end()) continue;
    keys_.push_back(key);
    // Until the channel is answered its position is what the client came with: it may have to come back
    // before that.
    if (item.since) token_.set(key, *item.since);
  }
}

protocol::SubscribeItem SseStream::take_next() {
  protocol::SubscribeItem item = std::move(channels_[next_++]);
  if (!has_next()) std::exchange(channels_, {});
  return item;
}

bool SseStream::note(std::string_view json, std::optional<std::uint64_t> start) {
  const protocol::DeliveryHead head = protocol::read_delivery_head(json);
  const bool is_subscribed = head.type == "subscribed";
  const bool is_snapshot = head.type == "snapshot";
  const bool is_gap = head.type == "gap";
  if (!is_subscribed && !is_snapshot && !is_gap && head.type != "message") return false;

  const std::uint64_t key = protocol::resume_key(head.channel);
  if (is_subscribed || is_snapshot) {
    // A new beginning, which may lie before the old position and in another epoch.
    const std::optional<std::uint64_t> seq = is_subscribed ? start : head.seq;
    if (seq && std::ranges::find(keys_, key) != keys_.end())
      token_.set(key, {.epoch = std::string(head.epoch), .seq = *seq});
  } else if (const auto reached = is_gap ? head.to : head.seq) {
    // An inbox sends its backlog by priority, so a seq may be below those before it.
    token_.advance(key, *reached);
  }
  return head.seq.has_value();
}

void SseStream::render(std::string& out, std::string_view json, std::optional<std::uint64_t> start) {
  begin(out);
  wire::append_sse_event(out, note(json, start) ? token_.text() : std::string_view(), json);
}

void SseStream::keep_reply(std::string_view json, std::optional<std::uint64_t> start) {
  reply_bytes_ += json.size();
  replies_.push_back({.text = std::string(json), .start = start, .is_lines = false});
}

void SseStream::keep_lines(std::string_view lines) {
  reply_bytes_ += lines.size();
  replies_.push_back({.text = std::string(lines), .start = {}, .is_lines = true});
}

void SseStream::keep_delivery(hub::Priority lane, SharedBytes frames, std::size_t offset, std::size_t size,
                              Handle channel) {
  lanes_.add(lane, {.bytes = std::move(frames), .offset = offset, .size = size, .channel = channel});
}

void SseStream::hurry(hub::Priority lane, Handle channel) {
  lanes_.take(lane, channel, [this](std::string_view frames) {
    while (!frames.empty()) {
      const wire::WrittenFrame frame = wire::first_written_frame(frames);
      keep_reply(frame.payload, {});
      frames.remove_prefix(frame.bytes);
    }
  });
}

void SseStream::render_waiting(std::string& out, std::size_t bytes) {
  while (has_replies() && out.size() < bytes) {
    const Reply reply = std::move(replies_.front());
    replies_.pop_front();
    reply_bytes_ -= reply.text.size();
    if (reply.is_lines) {
      begin(out);
      out += reply.text;
    } else {
      render(out, reply.text, reply.start);
    }
  }
  if (!open_ || has_replies()) return;
  while (!lanes_.empty() && out.size() < bytes) {
    const wire::WrittenFrame frame = wire::first_written_frame(lanes_.front());
    render(out, frame.payload);
    lanes_.advance(frame.bytes);
  }
}

}  // namespace tidewire::gateway
