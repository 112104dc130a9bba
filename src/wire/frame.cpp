#include "wire/frame.h"

#include "base/check.h"
#include "wire/utf8.h"

namespace tidewire::wire {

SharedBytes make_frame(Opcode opcode, std::string_view payload, bool rsv1) {
  char header[kMaxFrameHeaderBytes];
  const std::size_t size = write_frame_header(header, opcode, payload.size(), rsv1);
  return SharedBytes(std::string_view(header, size), payload);
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

SharedBytes make_close_frame(std::uint16_t code, std::string_view reason) {
  return make_frame(Opcode::close, encode_close(code, reason));
}

}  // namespace tidewire::wire
