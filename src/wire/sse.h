// Writing server-sent events (the event-stream format of the HTML standard).
// Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidewire::wire {

// Appends one event. `json` is JSON text, from which the line breaks between tokens are taken out, so that
// it is one `data:` line. An empty `id` leaves the `id:` line out; it may hold no line break and no NUL,
// with which a reader would drop it: that is checked.
void append_sse_event(std::string& out, std::string_view id, std::string_view json);

// Appends how long a client shall wait before it connects again.
void append_sse_retry(std::string& out, std::int64_t retry_ms);

}  // namespace tidewire::wire
