// From bytes to WebSocket messages, server side: RFC 6455 in full, RFC 7692 with an Inflater.
//
// A pull parser. It takes bytes from the front of the caller's chunk; a frame that lies whole in the
// chunk is unmasked there and handed out as a view, without a copy. Only what is cut in the middle is
// kept, and that memory grows with what has arrived, never with what was announced. Owned by the
// connection's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "wire/frame.h"
#include "wire/utf8.h"

namespace tidewire::wire {

class Inflater;

struct ReaderLimits {
  std::size_t message_bytes = 1 << 20;  // of one message, inflated
  std::uint32_t fragments = 1024;       // frames of one message
  bool discards = true;                 // false: the first byte over message_bytes ends the connection

  // A message that announces or reaches this ends the connection.
  std::size_t hard_bytes() const {
    if (!discards) return message_bytes + 1;
    return message_bytes > static_cast<std::size_t>(-1) / 16 ? static_cast<std::size_t>(-1)
                                                             : 16 * message_bytes;
  }
};

class MessageReader {
 public:
  struct Event {
    enum class Type : std::uint8_t {
      need_more,  // the chunk is used up (always so after `failed` and `close`)
      message,    // opcode (text or binary), payload, compressed
      fragment,   // a data frame that does not end its message was taken
      ping,       // payload
      pong,       // payload
      close,      // code (1005: none), text; nothing after it is read
      too_large,  // opcode; a message over message_bytes was thrown away and has now ended
      failed,     // code (1002, 1007, 1009) and text, for the close frame; nothing after it is read
    };
    Type type = Type::need_more;
    Opcode opcode = Opcode::continuation;
    bool compressed = false;  // the message came with RSV1
    std::uint16_t code = 0;
    std::span<char> payload = {};  // valid until the next call, and while the chunk lives
    std::string_view text = {};    // valid like the payload

    std::string_view payload_text() const { return {payload.data(), payload.size()}; }
  };

  // `limits` must outlive the reader.
  explicit MessageReader(const ReaderLimits* limits);
  ~MessageReader();
  MessageReader(MessageReader&&) noexcept;
  MessageReader& operator=(MessageReader&&) noexcept;

  // The next event; `chunk` shrinks by what was read, and its bytes are changed. `inflater` is null
  // where permessage-deflate was not negotiated. Rules beyond RFC 6455 (protocol §3):
  // - a message over message_bytes is thrown away as it arrives (its UTF-8 is then not checked), and
  //   `too_large` comes at its end; of 16 times that, or of more than `fragments` frames, or without
  //   `discards`: 1009;
  // - one that inflates past message_bytes: 1009; also one that is over it compressed, where the
  //   inflater keeps its context, which would be lost;
  // - lengths must be in their shortest form: 1002.
  Event next(std::span<char>& chunk, Inflater* inflater);

  // Makes the whole plain message at the front of the chunk a server's frame at `out`, which lies in the
  // chunk's memory, not behind it, and moves both on: so those of one read lie in a row. False where the
  // next message is another, which next() reads; or, with `event` failed, where its text is not UTF-8.
  bool turn_round(std::span<char>& chunk, char*& out, Event& event);

  // Whether a message or a frame has begun and not ended. The caller limits how long.
  bool in_message() const { return open_ != Opcode::continuation || (partial_ && !delivered_); }

  // What is kept of an unfinished message or frame, in bytes. 0 when idle.
  std::size_t kept_bytes() const;

 private:
  struct Frame;
  struct Partial;
  struct Plain;

  std::optional<Plain> plain(std::span<const char> chunk) const;
  bool plain_message(std::span<char>& chunk, Event& event);
  Event begin_frame(const Frame& frame, std::span<char>& chunk, Inflater* inflater);
  Event continue_frame(std::span<char>& chunk, Inflater* inflater);
  Event control(Opcode opcode, std::span<char> payload);
  Event finish_message(std::span<char> payload, Inflater* inflater);
  Event failed(std::uint16_t code, std::string_view text);

  const ReaderLimits* limits_;
  std::unique_ptr<Partial> partial_;
  std::uint32_t fragments_ = 0;         // of the open message, the present frame included
  Opcode open_ = Opcode::continuation;  // the open message's type; continuation: none
  Utf8Validator utf8_;
  bool compressed_ : 1 = false;  // the open message came with RSV1
  bool discarding_ : 1 = false;  // the open message is too large
  bool delivered_ : 1 = false;   // partial_ holds only what the last event showed
  bool ended_ : 1 = false;
};

static_assert(sizeof(MessageReader) <= 40, "an idle connection keeps one of these");

}  // namespace tidewire::wire
