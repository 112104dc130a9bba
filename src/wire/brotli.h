// Brotli (RFC 7932) over a whole text: HTTP bodies, and large WebSocket replies to clients that asked
// with `?accept=br`. A pure function, any thread.
#pragma once

#include <string>
#include <string_view>

namespace tidewire::wire {

// Empty where the library refuses.
std::string brotli_compress(std::string_view text);

}  // namespace tidewire::wire
