#include "wire/sse.h"

#include "base/check.h"
#include "base/json_text.h"

namespace tidewire::wire {
namespace {

// Two searches for one character are far faster than one for two.
bool one_line(std::string_view text) {
  return text.find('\n') == std::string_view::npos && text.find('\r') == std::string_view::npos;
}

}  // namespace

void append_sse_event(std::string& out, std::string_view id, std::string_view json) {
  TIDEWIRE_CHECK(one_line(id) && id.find('\0') == std::string_view::npos);
  if (!id.empty()) out.append("id: ").append(id).append("\n");
  out += "data: ";
  append_json_without_line_breaks(out, json);
  out += "\n\n";
}

void append_sse_retry(std::string& out, std::int64_t retry_ms) {
  out += "retry: ";
  append_json_int(out, retry_ms);
  out += "\n\n";
}

}  // namespace tidewire::wire
