// Lines of `d`, `m` or `p` and JSON as events for one small document: a refused one changes nothing, the
// bound on size holds, the log and the saved state say the same, merges become one merge that does the same.

#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "kinds/document.h"
#include "kinds/json_tree.h"
#include "protocol/json_scanner.h"

namespace tidewire::kinds {
namespace {

constexpr std::size_t kBytesMax = 2000;
constexpr int kDepthMax = 512;  // of a message, at the highest setting

std::string_view form_of(char letter) {
  return letter == 'd' ? "data" : letter == 'm' ? "merge" : letter == 'p' ? "patch" : "";
}

bool is_utf8(std::string_view text) {
  try {
    (void)Json(std::string(text)).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

Event event_at(std::uint64_t seq, std::string_view form, std::string_view payload) {
  std::string body = "\"seq\":" + std::to_string(seq) + ",\"timestamp\":1,\"";
  body.append(form).append("\":").append(payload).append("}");
  return event_of(SharedBytes(body), 0);
}

class Check {
 public:
  void event(std::string_view form, std::string_view payload) {
    const Event event = event_at(seq_ + 1, form, payload);
    const std::string before = document_.save();
    const auto taken = document_.take(event, {});
    const std::string after = document_.save();
    if (!taken) {
      TIDEWIRE_CHECK(after == before);
      TIDEWIRE_CHECK(is_utf8(taken.error().message));
      return;
    }
    ++seq_;
    TIDEWIRE_CHECK(after.size() <= kBytesMax);
    TIDEWIRE_CHECK(protocol::scan_json(after, 128) && is_utf8(after));
    follower_.replay(event);
    TIDEWIRE_CHECK(follower_.save() == after);
    Document restored;
    TIDEWIRE_CHECK(restored.restore(after) && restored.save() == after);
    follower_.restore(after);
    window_.push_back({.first = seq_, .last = seq_, .body = event.body});
  }

  void end_of_window() {
    const std::uint64_t first = seq_ + 1 - window_.size();
    if (window_.empty()) return;
    if (const auto runs = document_.conflate(std::move(window_))) {
      TIDEWIRE_CHECK(runs->size() == 1 && runs->front().first == first && runs->front().last == seq_);
      reader_.replay(event_of(runs->front().body, 0));
    } else {
      reader_.replay(event_of(document_.whole(first, seq_, 1), 0));
    }
    window_.clear();
    TIDEWIRE_CHECK(reader_.save() == document_.save());
  }

 private:
  std::uint64_t seq_ = 0;
  Document document_{{.bytes_max = kBytesMax}};
  Document follower_;
  Document reader_;
  std::vector<Run> window_;
};

}  // namespace
}  // namespace tidewire::kinds

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!tidewire::kinds::is_utf8(text)) return 0;
  tidewire::kinds::Check check;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty()) {
      check.end_of_window();
      continue;
    }
    const std::string_view form = tidewire::kinds::form_of(line.front());
    const auto payload = tidewire::protocol::scan_json(line.substr(1), tidewire::kinds::kDepthMax);
    if (!form.empty() && payload) check.event(form, payload->text);
  }
  check.end_of_window();
  return 0;
}
