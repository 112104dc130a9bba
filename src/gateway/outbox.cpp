#include "gateway/outbox.h"

#include <algorithm>

namespace tidewire::gateway {

namespace {
constexpr std::size_t kPiecesPerWrite = 64;
constexpr std::size_t kKeptCapacity = 16 * 1024;  // of one that is kept for another connection

void trim(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeptCapacity) buffer.shrink_to_fit();
}
}  // namespace

void Outbox::add_reply(std::string_view header, std::string_view payload) {
  std::string& to = stalled_ ? replies_ : begun_;
  to.append(header);
  to.append(payload);
}

void Outbox::keep_delivery(hub::Priority lane, SharedBytes bytes, std::size_t offset, std::size_t size,
                           Handle channel) {
  lanes_.add(lane, {.bytes = std::move(bytes), .offset = offset, .size = size, .channel = channel});
}

void Outbox::begin_with(SharedBytes bytes, std::size_t offset, std::size_t size) {
  piece_ = {.bytes = std::move(bytes), .offset = offset, .size = size, .channel = {}};
  stalled_ = true;
}

void Outbox::clear() {
  trim(begun_);
  trim(replies_);
  begun_sent_ = 0;
  piece_ = {};
  drop_deliveries();
  stalled_ = false;
}

net::IoStatus Outbox::flush(net::Stream& stream, std::size_t& written) {
  while (!empty()) {
    iovec pieces[kPiecesPerWrite];
    std::size_t count = 0, asked = 0;
    const auto add = [&](std::string_view bytes) {
      if (bytes.empty() || count == kPiecesPerWrite) return;
      pieces[count++] = {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
      asked += bytes.size();
    };
    add(std::string_view(begun_).substr(begun_sent_));
    add(piece_.view());
    add(replies_);
    lanes_.each([&](std::string_view bytes) {
      add(bytes);
      return count < kPiecesPerWrite;
    });

    const net::IoResult result =
        count == 1
            ? stream.write(std::string_view(static_cast<const char*>(pieces[0].iov_base), pieces[0].iov_len))
            : stream.write(std::span<const iovec>(pieces, count));
    if (result.status == net::IoStatus::failed) return result.status;
    consume(result.bytes);
    written += result.bytes;
    if (result.status == net::IoStatus::would_block || result.bytes < asked) {
      stalled_ = true;
      return net::IoStatus::would_block;
    }
  }
  stalled_ = false;
  return net::IoStatus::ok;
}

void Outbox::consume(std::size_t bytes) {
  const auto take = [&](std::size_t available) {
    const std::size_t taken = std::min(bytes, available);
    bytes -= taken;
    return taken;
  };
  begun_sent_ += take(begun_.size() - begun_sent_);
  if (begun_sent_ == begun_.size()) {
    begun_.clear();
    begun_sent_ = 0;
  }
  const std::size_t of_piece = take(piece_.size);
  piece_.advance(of_piece);
  if (piece_.size == 0) piece_ = {};
  if (bytes == 0) return;

  if (bytes >= replies_.size()) {
    bytes -= replies_.size();
    replies_.clear();
  } else {
    // A reply that was cut must go on before anything else.
    begun_ = std::move(replies_);
    begun_sent_ = bytes;
    replies_ = {};
    bytes = 0;
  }
  while (bytes > 0 && !lanes_.empty()) {
    Piece piece = lanes_.pop();
    piece.advance(take(piece.size));
    if (piece.size > 0) piece_ = std::move(piece);
  }
}

}  // namespace tidewire::gateway
