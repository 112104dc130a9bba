// permessage-deflate (RFC 7692): negotiation, and the two directions over zlib.
//
// In mode `shared` both sides drop their context after every message, so one Inflater and one Deflater
// per thread serve all connections, and a broadcast is compressed once; only a client that asks for a smaller
// server window gets a pair of its own. In mode `dedicated` each connection owns a pair that keeps its
// context. Neither class is shared between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tidewire::wire {

enum class DeflateMode : std::uint8_t { off, shared, dedicated };

struct DeflateAgreement {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::uint8_t server_max_window_bits = 15;  // 9..15: what a Deflater for this client must keep to
  std::uint8_t client_max_window_bits = 15;  // 8..15: what the client's messages may need

  friend bool operator==(const DeflateAgreement&, const DeflateAgreement&) = default;
};

struct DeflateNegotiation {
  DeflateAgreement agreement;
  std::string response;  // the value of Sec-WebSocket-Extensions in the answer
};

// Whether a Sec-WebSocket-Extensions value (several headers joined with ", ") follows its grammar (RFC 6455
// §9.1); an empty one does.
bool are_extensions(std::string_view extensions);

// Picks the first usable permessage-deflate offer of such a value. An offer with an unknown or repeated
// parameter, a bad value, or server_max_window_bits=8 (zlib has no raw deflate with that window) is passed
// over; so is every other extension. Nothing: no compression.
std::optional<DeflateNegotiation> negotiate_deflate(std::string_view extensions, DeflateMode mode);

enum class InflateError : std::uint8_t {
  too_large,  // more than the limit comes out
  bad_data,   // not a deflate stream
};

// What one side keeps from message to message.
enum class DeflateContext : std::uint8_t { reset, keep };

class Inflater {
 public:
  explicit Inflater(DeflateContext context = DeflateContext::reset, int window_bits = 15);
  ~Inflater();
  Inflater(Inflater&&) noexcept;
  Inflater& operator=(Inflater&&) noexcept;

  // Inflates the payload of one message (RFC 7692 §7.2.2), of at most `limit` bytes. The view is valid
  // until the next call. Memory: grows with the output, is given back when a big message is past.
  // After an error a kept context is lost.
  std::expected<std::span<char>, InflateError> inflate(std::string_view payload, std::size_t limit);

  // Gives back the memory of the last output; its view ends. For an Inflater that will be idle.
  void release_output();

  // Whether a message that is thrown away unread would break the ones after it.
  bool keeps_context() const { return context_ == DeflateContext::keep; }

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
  DeflateContext context_;
};

class Deflater {
 public:
  // window_bits 9..15; level 1..9.
  explicit Deflater(DeflateContext context = DeflateContext::reset, int window_bits = 15, int level = 3);
  ~Deflater();
  Deflater(Deflater&&) noexcept;
  Deflater& operator=(Deflater&&) noexcept;

  // Replaces `out` by the payload of one message (RFC 7692 §7.2.1), without the tail 00 00 ff ff. The
  // frame is then sent with RSV1. False when memory ran out; a kept context is lost then.
  bool deflate(std::string_view message, std::string& out);

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
  DeflateContext context_;
};

}  // namespace tidewire::wire
