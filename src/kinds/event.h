// An event of a channel as its kind sees it: the same whether somebody has just asked for it or it comes
// back from the log, so that a fold is a function of the log and of nothing else. Values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/shared_bytes.h"
#include "protocol/request.h"

namespace tidewire::kinds {

using protocol::Priority;

struct Event {
  // What a document's event brings (protocol §7); the other kinds only know `data`.
  enum class Form : std::uint8_t { data, merge, patch };

  std::uint64_t seq = 0;  // 0: ephemeral
  std::int64_t timestamp_ms = 0;
  std::int64_t expires_ms = 0;            // 0: no time to live of its own
  std::string name = {};                  // `event`; empty: none
  std::string user_id = {};               // of the author, in string form; empty: anonymous, or an API key
  std::string user_json = {};             // the author's id as its token spelled it: `1` or `"1"`
  std::string_view from_json = {};        // `from` as it stands, a slice of `body`; empty: none
  std::string_view flags_json = {};       // `flags` of the content policy, likewise
  std::optional<Priority> priority = {};  // other than the namespace's
  Form form = Form::data;
  std::string_view payload = {};  // valid JSON, a slice of `body`; `null` where the event had none
  SharedBytes body = {};          // what follows `"channel":C,` in the delivery
};

// How deep a payload may be at the most: `limits.json_depth` goes up to 512. What is saved has room around
// it.
inline constexpr int kPayloadDepthMax = 520;

// The times in what is saved, in milliseconds: some may be added up without an overflow.
inline constexpr std::int64_t kSavedTimeMax = std::int64_t{1} << 60;

// Reads an event from its body, which the server wrote: `"seq":1,"timestamp":2,"event":…,"data":…}`.
Event event_of(const SharedBytes& body, std::int64_t expires_ms);

}  // namespace tidewire::kinds
