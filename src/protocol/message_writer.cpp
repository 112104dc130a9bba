#include "protocol/message_writer.h"

namespace tidewire::protocol {

std::string error_message(const Error& error, std::string_view id, std::string_view request,
                          std::string_view channel) {
  MessageWriter writer("error", id);
  if (!request.empty()) writer.text("request", request);
  if (!channel.empty()) writer.text("channel", channel);
  writer.text("code", name_of(error.code)).text("message", error.message);
  if (error.retry_after_ms > 0) writer.number("retry_after_ms", error.retry_after_ms);
  if (error.code == ErrorCode::conflict) writer.number("seq", error.seq);
  if (!error.rule.empty()) writer.text("rule", error.rule);
  return writer.finish();
}

std::string auth_error_message(const Error& error, std::string_view id) {
  MessageWriter writer("auth_error", id);
  writer.text("code", name_of(error.code)).text("message", error.message);
  writer.boolean("retryable", error.code == ErrorCode::unavailable || error.code == ErrorCode::auth_timeout ||
                                  error.code == ErrorCode::rate_limited ||
                                  error.code == ErrorCode::connection_limit ||
                                  error.code == ErrorCode::token_not_yet_valid);
  if (error.retry_after_ms > 0) writer.number("retry_after_ms", error.retry_after_ms);
  return writer.finish();
}

}  // namespace tidewire::protocol
