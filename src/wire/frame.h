// WebSocket frames as the server writes them (RFC 6455 §5), and the payload of a close frame.
//
// A server's frames are never masked, so a header is 2, 4 or 10 bytes. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>

#include "base/shared_bytes.h"

namespace tidewire::wire {

enum class Opcode : std::uint8_t {
  continuation = 0x0,
  text = 0x1,
  binary = 0x2,
  close = 0x8,
  ping = 0x9,
  pong = 0xA,
};

// Close codes that the codec itself uses (RFC 6455 §7.4.1).
inline constexpr std::uint16_t kCloseNormal = 1000;
inline constexpr std::uint16_t kCloseProtocolError = 1002;
inline constexpr std::uint16_t kCloseNoStatus = 1005;  // never on the wire: the close frame was empty
inline constexpr std::uint16_t kCloseInvalidPayload = 1007;
inline constexpr std::uint16_t kCloseTooBig = 1009;

inline constexpr std::size_t kMaxFrameHeaderBytes = 10;
inline constexpr std::size_t kMaxControlPayloadBytes = 125;
inline constexpr std::size_t kMaxCloseReasonBytes = 123;

// Writes the header of an unmasked frame and answers its size. `out` has room for
// kMaxFrameHeaderBytes; `payload_bytes` is below 2^63. `rsv1` marks a compressed message (RFC 7692).
inline std::size_t write_frame_header(char* out, Opcode opcode, std::uint64_t payload_bytes,
                                      bool rsv1 = false, bool fin = true) {
  out[0] = static_cast<char>((fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | static_cast<unsigned>(opcode));
  if (payload_bytes <= 125) {
    out[1] = static_cast<char>(payload_bytes);
    return 2;
  }
  if (payload_bytes <= 0xFFFF) {
    const std::uint16_t big_endian = __builtin_bswap16(static_cast<std::uint16_t>(payload_bytes));
    out[1] = 126;
    std::memcpy(out + 2, &big_endian, sizeof big_endian);
    return 4;
  }
  const std::uint64_t big_endian = __builtin_bswap64(payload_bytes);
  out[1] = 127;
  std::memcpy(out + 2, &big_endian, sizeof big_endian);
  return 10;
}

// A whole frame in one shared buffer, header and payload.
SharedBytes make_frame(Opcode opcode, std::string_view payload, bool rsv1 = false);

struct WrittenFrame {
  std::string_view payload;
  std::size_t bytes;  // with its header
};

// The first of frames that write_frame_header() and their payloads have made; at least one, whole.
WrittenFrame first_written_frame(std::string_view frames);

// Whether a close frame may carry the code: 1000-1003, 1007-1014, 3000-4999 (RFC 6455 §7.4 and the
// IANA registry).
constexpr bool is_valid_close_code(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

struct CloseReason {
  std::uint16_t code = kCloseNoStatus;
  std::string_view text;

  friend bool operator==(const CloseReason&, const CloseReason&) = default;
};

// The content of a received close frame. An empty payload is code 1005. The error is the close code to
// fail the connection with: 1002 for one byte or a code that may not be sent, 1007 for a reason that is
// not UTF-8.
std::expected<CloseReason, std::uint16_t> decode_close(std::string_view payload);

// The payload of a close frame; 1005 gives an empty one. `code` is 1005 or valid; a reason over
// 123 bytes is cut at the end of a character.
std::string encode_close(std::uint16_t code, std::string_view reason = {});

}  // namespace tidewire::wire
