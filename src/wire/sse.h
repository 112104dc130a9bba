// Writing server-sent events (the event-stream format of the HTML standard).
// Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidewire::wire {

// Appends one event. `data` is a single line; an empty `id` leaves the `id:` line out. Neither may hold a
// line break (CR or LF): that is checked. Nor may `id` hold a NUL, since a reader would drop the id.
void append_sse_event(std::string& out, std::string_view id, std::string_view data);

// Appends a comment, which clients ignore: a heartbeat.
void append_sse_comment(std::string& out, std::string_view text);

// Appends how long a client shall wait before it connects again.
void append_sse_retry(std::string& out, std::int64_t retry_ms);

}  // namespace tidewire::wire
