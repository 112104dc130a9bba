#include "kinds/fold.h"

#include "base/json_text.h"

namespace tidewire::kinds {

SharedBytes Fold::whole(std::uint64_t first, std::uint64_t last, std::int64_t timestamp_ms) const {
  std::string head = "\"seq\":";
  append_json_int(head, last);
  if (first != last) {
    head += ",\"first_seq\":";
    append_json_int(head, first);
  }
  head += ",\"timestamp\":";
  append_json_int(head, timestamp_ms);
  head += ",\"data\":";
  return SharedBytes(head, snapshot(timestamp_ms) + '}');
}

}  // namespace tidewire::kinds
