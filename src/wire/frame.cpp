#include "wire/frame.h"

#include "base/check.h"
#include "wire/utf8.h"

namespace tidewire::wire {

SharedBytes make_frame(Opcode opcode, std::string_view payload, bool rsv1) {
  char header[kMaxFrameHeaderBytes];
  const std::size_t size = write_frame_header(header, opcode, payload.size(), rsv1);
  return SharedBytes(std::string_view(header, size), payload);
}

WrittenFrame first_written_frame(std::string_view frames) {
  TIDEWIRE_CHECK(frames.size() >= 2);
  std::uint64_t payload_bytes = static_cast<unsigned char>(frames[1]);
  const std::size_t extended = payload_bytes <= 125 ? 0 : payload_bytes == 126 ? 2 : 8;
  TIDEWIRE_CHECK(payload_bytes <= 127 && frames.size() >= 2 + extended);
  if (extended > 0) payload_bytes = 0;
  for (std::size_t i = 0; i < extended; ++i)
    payload_bytes = payload_bytes << 8 | static_cast<unsigned char>(frames[2 + i]);
  const std::size_t header = 2 + extended;
  TIDEWIRE_CHECK(frames.size() - header >= payload_bytes);
  return {.payload = frames.substr(header, payload_bytes), .bytes = header + payload_bytes};
}

std::expected<CloseReason, std::uint16_t> decode_close(std::string_view payload) {
  if (payload.empty()) return CloseReason{};
  if (payload.size() == 1) return std::unexpected(kCloseProtocolError);
  const auto high = static_cast<unsigned char>(payload[0]);
  const auto low = static_cast<unsigned char>(payload[1]);
  const auto code = static_cast<std::uint16_t>(high << 8 | low);
  if (!is_valid_close_code(code)) return std::unexpected(kCloseProtocolError);
  if (!is_valid_utf8(payload.substr(2))) return std::unexpected(kCloseInvalidPayload);
  return CloseReason{code, payload.substr(2)};
}

std::string encode_close(std::uint16_t code, std::string_view reason) {
  if (code == kCloseNoStatus) return {};
  TIDEWIRE_CHECK(is_valid_close_code(code));
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
  payload += utf8_prefix(reason, kMaxCloseReasonBytes);
  return payload;
}

}  // namespace tidewire::wire
