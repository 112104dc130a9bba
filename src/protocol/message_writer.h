// Writes one message to a client: a flat JSON object with `type` first and, in a reply, the request's `id`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json_text.h"

namespace tidewire::protocol {

class MessageWriter {
 public:
  // An object without a type: part of a message, or an HTTP body.
  MessageWriter() : out_("{") {}
  // `id` is JSON text, empty for none.
  explicit MessageWriter(std::string_view type, std::string_view id = {}) {
    out_ = "{\"type\":\"";
    out_ += type;
    out_ += '"';
    if (!id.empty()) json("id", id);
  }

  MessageWriter& json(std::string_view name, std::string_view value) {
    key(name);
    out_ += value;
    return *this;
  }
  MessageWriter& text(std::string_view name, std::string_view value) {
    key(name);
    append_json_string(out_, value);
    return *this;
  }
  MessageWriter& number(std::string_view name, std::int64_t value) {
    key(name);
    append_json_int(out_, value);
    return *this;
  }
  MessageWriter& number(std::string_view name, std::uint64_t value) {
    key(name);
    append_json_int(out_, value);
    return *this;
  }
  MessageWriter& boolean(std::string_view name, bool value) {
    key(name);
    out_ += value ? "true" : "false";
    return *this;
  }

  std::string finish() {
    out_ += '}';
    return std::move(out_);
  }

 private:
  void key(std::string_view name) {
    if (out_.size() > 1) out_ += ',';
    out_ += '"';
    out_ += name;
    out_ += "\":";
  }
  std::string out_;
};

// `error` as the reply to a request (protocol §6); empty parts are left out.
std::string error_message(const Error& error, std::string_view id, std::string_view request,
                          std::string_view channel);

// `auth_error`; it is retryable where the same token may be taken later.
std::string auth_error_message(const Error& error, std::string_view id);

// `[{…},{…}]` from the stored bodies of messages, which are what follows `{"type":"message","channel":C,` in
// a delivery, closing brace included.
template <class Bodies>
std::string messages_array(const Bodies& bodies) {
  std::string out = "[";
  for (const auto& body : bodies) {
    if (out.size() > 1) out += ',';
    out += '{';
    out += body.view();
  }
  out += ']';
  return out;
}

}  // namespace tidewire::protocol
