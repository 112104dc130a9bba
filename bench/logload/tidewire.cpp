// Tidewire's protocol, version 1, over WebSocket (RFC 6455), uncompressed.
#include <cstring>

#include "dialect.h"

namespace logload {

namespace {

class Tidewire : public Dialect {
 public:
  Tidewire(const Options& options, unsigned index) : payload_(options.size), key_(index * 2654435761U + 1) {
    if (!options.tokens.empty()) token_ = options.tokens[index % options.tokens.size()];
    host_ = options.host + ":" + std::to_string(options.port);
  }

  void greet() override {
    out_ += "GET /ws HTTP/1.1\r\nHost: " + host_ +
            "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer " +
            token_ + "\r\n\r\n";
  }

  void publish(unsigned channel, std::uint64_t number, std::uint64_t id) override {
    text_ = R"({"type":"publish","id":)";
    text_ += std::to_string(id);
    text_ += R"(,"channel":"log:bench-)";
    text_ += std::to_string(channel);
    text_ += R"(","data":")";
    text_ += payload_.with(number);
    text_ += R"("})";
    frame(1, text_);
  }

  void follow(unsigned channel, std::string_view position) override {
    text_ = R"({"type":"subscribe","id":0,"channel":"log:bench-)" + std::to_string(channel) + '"';
    if (!position.empty()) text_ += R"(,"since":)" + std::string(position);
    text_ += '}';
    resuming_ = !position.empty();
    frame(1, text_);
  }

  std::size_t read(std::string_view in, Events& events) override {
    std::size_t eaten = upgraded_ ? 0 : read_upgrade(in, events);
    while (upgraded_) {
      const std::size_t length = read_frame(in.substr(eaten), events);
      if (length == 0) break;
      eaten += length;
    }
    return eaten;
  }

 private:
  std::size_t read_upgrade(std::string_view in, Events& events) {
    const auto end = in.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    if (!in.starts_with("HTTP/1.1 101")) {
      events.refused(in.substr(0, in.find('\r')));
      return in.size();
    }
    upgraded_ = true;
    return end + 4;
  }

  // The server never masks and never fragments here. 0: not whole yet.
  std::size_t read_frame(std::string_view in, Events& events) {
    if (in.size() < 2) return 0;
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(in[i]); };
    std::size_t head = 2;
    std::size_t length = byte(1) & 0x7FU;
    if (length >= 126) {
      const std::size_t wide = length == 126 ? 2 : 8;
      if (in.size() < 2 + wide) return 0;
      length = 0;
      for (std::size_t i = 0; i < wide; ++i) length = length << 8 | byte(2 + i);
      head += wide;
    }
    if (in.size() - head < length) return 0;
    const std::string_view body = in.substr(head, length);
    switch (byte(0) & 0x0FU) {
      case 1:
        read_message(body, events);
        break;
      case 8:
        events.refused("closed: " + std::string(body.substr(std::min<std::size_t>(2, body.size()))));
        break;
      case 9:
        frame(10, body);
        break;
      default:
        break;
    }
    return head + length;
  }

  void read_message(std::string_view text, Events& events) {
    const std::string_view type = after(text.substr(0, 64), R"("type":")");
    if (type.starts_with("message\"")) {
      entries_in(text, events);
    } else if (type.starts_with("published\"")) {
      const std::string_view place = after(text, R"("epoch":")");
      position_ = R"({"epoch":")";
      position_ += place.substr(0, place.find('"'));
      position_ += R"(","seq":)" + std::to_string(number_at(after(text, R"("seq":)"))) + '}';
      events.published(number_at(after(text, R"("id":)")), position_);
    } else if (type.starts_with("connected\"")) {
      events.ready();
    } else if (type.starts_with("subscribed\"")) {
      if (text.find(R"("id":0)") == std::string_view::npos)
        return;  // its inbox, of which the server tells by itself
      if (resuming_ && text.find(R"("recovered":true)") == std::string_view::npos)
        events.refused(text.substr(0, 200));
      entries_in(text, events);
    } else {
      events.refused(text.substr(0, 200));  // an error, or a gap, which is a loss here
    }
  }

  void frame(std::uint8_t opcode, std::string_view body) {
    const std::size_t n = body.size();
    out_ += static_cast<char>(0x80 | opcode);
    if (n < 126) {
      out_ += static_cast<char>(0x80 | n);
    } else if (n < 65536) {
      out_ += static_cast<char>(0x80 | 126);
      out_ += static_cast<char>(n >> 8);
      out_ += static_cast<char>(n & 0xFF);
    } else {
      out_ += static_cast<char>(0x80 | 127);
      for (int shift = 56; shift >= 0; shift -= 8) out_ += static_cast<char>(n >> shift & 0xFF);
    }
    key_ = key_ * 1664525U + 1013904223U;
    char mask[8];
    std::memcpy(mask, &key_, 4);
    std::memcpy(mask + 4, &key_, 4);
    out_.append(mask, 4);
    const std::size_t at = out_.size();
    out_.append(body);
    std::uint64_t wide_mask = 0;
    std::memcpy(&wide_mask, mask, 8);
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, out_.data() + at + i, 8);
      eight ^= wide_mask;
      std::memcpy(out_.data() + at + i, &eight, 8);
    }
    for (; i < n; ++i) out_[at + i] = static_cast<char>(out_[at + i] ^ mask[i % 4]);
  }

  std::string host_;
  std::string token_;
  std::string text_;
  std::string position_;
  Payload payload_;
  std::uint32_t key_;
  bool upgraded_ = false;
  bool resuming_ = false;
};

}  // namespace

std::unique_ptr<Dialect> tidewire_dialect(const Options& options, unsigned index) {
  return std::make_unique<Tidewire>(options, index);
}

}  // namespace logload
