// What a message to a client says of its place in a channel, read from the beginning of its own text.
//
// Deliveries are rendered once for all their readers, so whoever needs a reader's position (an event
// stream's resume token) has nothing but the text. Only for JSON that the server wrote: members stand in
// the order of protocol §5, and everything that is looked at here before the payload. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tidewire::protocol {

// Views into the text; empty or nothing where it says nothing. Names and epochs never need escapes.
struct DeliveryHead {
  std::string_view type;
  std::string_view channel;
  std::string_view epoch;
  std::optional<std::uint64_t> seq;
  std::optional<std::uint64_t> to;  // of a gap: its last seq
};

// Looks no further than to the first payload, array or object.
DeliveryHead read_delivery_head(std::string_view json);

}  // namespace tidewire::protocol
