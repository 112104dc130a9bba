#include "wire/message_reader.h"

#include <algorithm>
#include <cstring>
#include <expected>
#include <string>

#include "wire/mask.h"
#include "wire/permessage_deflate.h"

namespace tidewire::wire {
namespace {

constexpr std::size_t kMaxMaskedHeaderBytes = 14;

bool is_control(Opcode opcode) { return static_cast<unsigned>(opcode) >= 8; }

std::uint64_t big_endian(const unsigned char* at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | at[i];
  return value;
}

// How many bytes a message may have before it is inflated. What cannot be compressed grows a little.
std::size_t limit_as_received(const ReaderLimits& limits, bool compressed) {
  return compressed ? limits.message_bytes + limits.message_bytes / 8 + 64 : limits.message_bytes;
}

}  // namespace

struct MessageReader::Frame {
  Opcode opcode = Opcode::continuation;
  bool fin = false;
  bool rsv1 = false;
  MaskKey key{};
  std::uint64_t length = 0;

  enum class Parsed : std::uint8_t { whole, cut, bad };

  // Reads a header and its size. Says `bad` as soon as one byte decides it, and then why.
  Parsed parse(const char* data, std::size_t size, bool in_message, bool deflate, std::size_t& header_bytes,
               std::string_view& why);
};

// What is kept while a header, a frame or a fragmented message is unfinished.
struct MessageReader::Partial {
  char header[kMaxMaskedHeaderBytes];
  std::uint8_t header_bytes = 0;  // of a header that is cut
  bool in_frame = false;
  Frame frame;
  std::uint64_t taken = 0;      // bytes of the frame's payload
  std::uint64_t announced = 0;  // bytes of the message, the present frame included
  std::string data;             // the message so far, unmasked
  char control[kMaxControlPayloadBytes];

  // Room that was announced is not reserved: a peer must send what it makes us keep.
  std::string_view append(std::span<const char> masked) {
    const std::size_t before = data.size();
    const std::size_t size = before + masked.size();
    // The second argument is the capacity in some releases of libstdc++.
    data.resize_and_overwrite(size, [&](char* to, std::size_t) {
      move_unmask(to + before, masked.data(), masked.size(), frame.key, static_cast<std::size_t>(taken));
      return size;
    });
    return std::string_view(data).substr(before);
  }
};

MessageReader::Frame::Parsed MessageReader::Frame::parse(const char* data, std::size_t size, bool in_message,
                                                         bool deflate, std::size_t& header_bytes,
                                                         std::string_view& why) {
  const auto* at = reinterpret_cast<const unsigned char*>(data);
  const auto bad = [&](std::string_view text) {
    why = text;
    return Parsed::bad;
  };
  if (size == 0) return Parsed::cut;

  fin = (at[0] & 0x80) != 0;
  rsv1 = (at[0] & 0x40) != 0;
  opcode = static_cast<Opcode>(at[0] & 0x0F);
  if ((at[0] & 0x30) != 0) return bad("reserved bit set");
  switch (opcode) {
    case Opcode::continuation:
      if (!in_message) return bad("continuation without a message");
      if (rsv1) return bad("reserved bit set");
      break;
    case Opcode::text:
    case Opcode::binary:
      if (in_message) return bad("new message inside a fragmented one");
      if (rsv1 && !deflate) return bad("reserved bit set");
      break;
    case Opcode::close:
    case Opcode::ping:
    case Opcode::pong:
      if (rsv1) return bad("reserved bit set");
      if (!fin) return bad("fragmented control frame");
      break;
    default:
      return bad("reserved opcode");
  }
  if (size < 2) return Parsed::cut;

  if ((at[1] & 0x80) == 0) return bad("frame is not masked");
  length = at[1] & 0x7F;
  std::size_t key_at = 2;
  if (length > 125) {
    if (is_control(opcode)) return bad("control frame over 125 bytes");
    const std::size_t length_bytes = length == 126 ? 2 : 8;
    key_at += length_bytes;
    if (size < key_at) return Parsed::cut;
    length = big_endian(at + 2, length_bytes);
    if (length >> 63 != 0) return bad("length over 63 bits");
    if (length <= (length_bytes == 2 ? 125u : 0xFFFFu)) return bad("length not in its shortest form");
  }
  header_bytes = key_at + 4;
  if (size < header_bytes) return Parsed::cut;
  std::memcpy(key.data(), at + key_at, 4);
  return Parsed::whole;
}

MessageReader::MessageReader(const ReaderLimits* limits) : limits_(limits) {}
MessageReader::~MessageReader() = default;
MessageReader::MessageReader(MessageReader&&) noexcept = default;
MessageReader& MessageReader::operator=(MessageReader&&) noexcept = default;

std::size_t MessageReader::kept_bytes() const {
  return partial_ ? sizeof(Partial) + partial_->data.capacity() : 0;
}

MessageReader::Event MessageReader::next(std::span<char>& chunk, Inflater* inflater) {
  if (delivered_) {
    partial_.reset();
    delivered_ = false;
  }
  if (ended_) {
    chunk = {};
    return {};
  }
  Event event;
  // An open message always has a partial_.
  if (!partial_ && plain_message(chunk, event)) return event;
  if (chunk.empty()) {
    // A connection's own inflater keeps its window while nothing comes, but no message.
    if (inflater && inflater->keeps_context()) inflater->release_output();
    return event;
  }
  if (partial_ && partial_->in_frame) return continue_frame(chunk, inflater);

  const bool deflate = inflater != nullptr;
  const bool in_a_message = open_ != Opcode::continuation;
  Frame frame;
  std::size_t header_bytes = 0;
  std::string_view why;
  const std::size_t before = partial_ ? partial_->header_bytes : 0;
  Frame::Parsed parsed;
  if (before == 0) {
    parsed = frame.parse(chunk.data(), chunk.size(), in_a_message, deflate, header_bytes, why);
  } else {
    const std::size_t more = std::min(chunk.size(), kMaxMaskedHeaderBytes - before);
    std::memcpy(partial_->header + before, chunk.data(), more);
    parsed = frame.parse(partial_->header, before + more, in_a_message, deflate, header_bytes, why);
  }
  if (parsed == Frame::Parsed::bad) return failed(kCloseProtocolError, why);
  if (parsed == Frame::Parsed::cut) {
    if (!partial_) partial_ = std::make_unique<Partial>();
    if (before == 0) std::memcpy(partial_->header, chunk.data(), chunk.size());
    partial_->header_bytes = static_cast<std::uint8_t>(before + chunk.size());
    chunk = {};
    return {};
  }
  chunk = chunk.subspan(header_bytes - before);
  if (before != 0) {
    partial_->header_bytes = 0;
    if (!in_a_message) partial_.reset();
  }
  return begin_frame(frame, chunk, inflater);
}

// The most frequent case by far: a whole unfragmented, uncompressed message within the limit at the front of
// the chunk, read in as few steps as can be. Nothing where it is another.
struct MessageReader::Plain {
  Opcode opcode;
  std::size_t header_bytes;
  std::size_t size;
  MaskKey key;
};

std::optional<MessageReader::Plain> MessageReader::plain(std::span<const char> chunk) const {
  if (chunk.size() < 6) return std::nullopt;
  const auto* at = reinterpret_cast<const unsigned char*>(chunk.data());
  if ((at[0] != 0x81 && at[0] != 0x82) || at[1] < 0x80) return std::nullopt;
  Plain frame{.opcode = static_cast<Opcode>(at[0] & 0x0F),
              .header_bytes = 6,
              .size = static_cast<std::size_t>(at[1] & 0x7F),
              .key = {}};
  if (frame.size > 125) {
    if (frame.size != 126 || chunk.size() < 8) return std::nullopt;
    frame.size = static_cast<std::size_t>(at[2] << 8 | at[3]);
    if (frame.size < 126) return std::nullopt;
    frame.header_bytes = 8;
  }
  if (chunk.size() - frame.header_bytes < frame.size || frame.size > limits_->message_bytes)
    return std::nullopt;
  std::memcpy(frame.key.data(), at + frame.header_bytes - 4, sizeof frame.key);
  return frame;
}

// What this does not take goes the long way, with the same result.
bool MessageReader::plain_message(std::span<char>& chunk, Event& event) {
  const auto frame = plain(chunk);
  if (!frame) return false;
  event.opcode = frame->opcode;
  event.payload = chunk.subspan(frame->header_bytes, frame->size);
  chunk = chunk.subspan(frame->header_bytes + frame->size);
  const bool ascii = unmask_is_ascii(event.payload.data(), frame->size, frame->key);
  if (!ascii && event.opcode == Opcode::text && !is_valid_utf8(event.payload_text()))
    event = failed(kCloseInvalidPayload, "text is not UTF-8");
  else
    event.type = Event::Type::message;
  return true;
}

bool MessageReader::turn_round(std::span<char>& chunk, char*& out, Event& event) {
  if (ended_ || partial_ || open_ != Opcode::continuation) return false;
  const auto frame = plain(chunk);
  if (!frame) return false;
  char header[kMaxFrameHeaderBytes];
  const std::size_t header_bytes = write_frame_header(header, frame->opcode, frame->size);
  const char* const masked = chunk.data() + frame->header_bytes;
  chunk = chunk.subspan(frame->header_bytes + frame->size);
  char* const payload = out + header_bytes;
  const bool ascii = move_unmask_is_ascii(payload, masked, frame->size, frame->key);
  if (!ascii && frame->opcode == Opcode::text && !is_valid_utf8({payload, frame->size})) {
    event = failed(kCloseInvalidPayload, "text is not UTF-8");
    return false;
  }
  std::memcpy(out, header, header_bytes);
  out = payload + frame->size;
  return true;
}

MessageReader::Event MessageReader::begin_frame(const Frame& frame, std::span<char>& chunk,
                                                Inflater* inflater) {
  const bool whole = chunk.size() >= frame.length;
  std::uint64_t announced = 0;
  if (is_control(frame.opcode)) {
    if (whole) {
      const auto payload = chunk.first(static_cast<std::size_t>(frame.length));
      chunk = chunk.subspan(payload.size());
      unmask(payload.data(), payload.size(), frame.key);
      return control(frame.opcode, payload);
    }
  } else {
    if (frame.opcode != Opcode::continuation) {
      open_ = frame.opcode;
      compressed_ = frame.rsv1;
      discarding_ = false;
      fragments_ = 0;
      utf8_.reset();
    }
    if (++fragments_ > limits_->fragments) return failed(kCloseTooBig, "too many fragments");
    announced = frame.length + (partial_ ? partial_->announced : 0);
    if (announced >= limits_->hard_bytes()) return failed(kCloseTooBig, "message too large");
    if (announced > limit_as_received(*limits_, compressed_) && !discarding_) {
      if (compressed_ && inflater && inflater->keeps_context())
        return failed(kCloseTooBig, "message too large");
      discarding_ = true;
      if (partial_) std::string().swap(partial_->data);
    }
    if (whole && frame.fin && frame.opcode != Opcode::continuation) {
      const auto payload = chunk.first(static_cast<std::size_t>(frame.length));
      chunk = chunk.subspan(payload.size());
      if (!discarding_) {
        const bool ascii = unmask_is_ascii(payload.data(), payload.size(), frame.key);
        if (open_ == Opcode::text && !compressed_ && !ascii &&
            !is_valid_utf8({payload.data(), payload.size()}))
          return failed(kCloseInvalidPayload, "text is not UTF-8");
      }
      return finish_message(payload, inflater);
    }
  }
  if (!partial_) partial_ = std::make_unique<Partial>();
  partial_->in_frame = true;
  partial_->frame = frame;
  partial_->taken = 0;
  if (!is_control(frame.opcode)) partial_->announced = announced;
  return continue_frame(chunk, inflater);
}

MessageReader::Event MessageReader::continue_frame(std::span<char>& chunk, Inflater* inflater) {
  Partial& p = *partial_;
  const Frame frame = p.frame;
  const auto piece =
      chunk.first(static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), frame.length - p.taken)));
  chunk = chunk.subspan(piece.size());
  if (is_control(frame.opcode)) {
    const auto phase = static_cast<std::size_t>(p.taken);
    move_unmask(p.control + phase, piece.data(), piece.size(), frame.key, phase);
  } else if (!discarding_) {
    const std::string_view text = p.append(piece);
    if (open_ == Opcode::text && !compressed_ && !utf8_.feed(text))
      return failed(kCloseInvalidPayload, "text is not UTF-8");
  }
  p.taken += piece.size();
  if (p.taken < frame.length) return {};

  p.in_frame = false;
  if (is_control(frame.opcode)) {
    delivered_ = open_ == Opcode::continuation;
    return control(frame.opcode, {p.control, static_cast<std::size_t>(frame.length)});
  }
  if (!frame.fin) return {.type = Event::Type::fragment, .opcode = open_, .compressed = compressed_};
  if (open_ == Opcode::text && !compressed_ && !discarding_ && !utf8_.complete())
    return failed(kCloseInvalidPayload, "text is not UTF-8");
  delivered_ = true;
  return finish_message(p.data, inflater);
}

MessageReader::Event MessageReader::control(Opcode opcode, std::span<char> payload) {
  if (opcode == Opcode::ping) return {.type = Event::Type::ping, .opcode = opcode, .payload = payload};
  if (opcode == Opcode::pong) return {.type = Event::Type::pong, .opcode = opcode, .payload = payload};
  const auto reason = decode_close({payload.data(), payload.size()});
  if (!reason) {
    return failed(reason.error(), reason.error() == kCloseInvalidPayload ? "close reason is not UTF-8"
                                                                         : "invalid close frame");
  }
  ended_ = true;
  delivered_ = partial_ != nullptr;
  open_ = Opcode::continuation;
  return {.type = Event::Type::close, .opcode = opcode, .code = reason->code, .text = reason->text};
}

MessageReader::Event MessageReader::finish_message(std::span<char> payload, Inflater* inflater) {
  const Opcode opcode = open_;
  open_ = Opcode::continuation;
  if (discarding_) return {.type = Event::Type::too_large, .opcode = opcode, .compressed = compressed_};
  if (compressed_) {
    const auto out = inflater->inflate({payload.data(), payload.size()}, limits_->message_bytes);
    if (!out) {
      if (out.error() == InflateError::too_large) return failed(kCloseTooBig, "message inflates too far");
      return failed(kCloseInvalidPayload, "compressed data is damaged");
    }
    payload = *out;
    if (opcode == Opcode::text && !is_valid_utf8({payload.data(), payload.size()}))
      return failed(kCloseInvalidPayload, "text is not UTF-8");
  }
  return {.type = Event::Type::message, .opcode = opcode, .compressed = compressed_, .payload = payload};
}

MessageReader::Event MessageReader::failed(std::uint16_t code, std::string_view text) {
  ended_ = true;
  delivered_ = false;
  open_ = Opcode::continuation;
  partial_.reset();
  return {.type = Event::Type::failed, .code = code, .text = text};
}

}  // namespace tidewire::wire
