// For tests of kinds: an event as the server writes it, so that what is folded went through the same text
// as in the log.
#pragma once

#include <string>

#include "base/json_text.h"
#include "kinds/fold.h"
#include "protocol/message_writer.h"

namespace tidewire::kinds {

struct Written {
  std::uint64_t seq = 0;  // 0: ephemeral
  std::int64_t timestamp_ms = 1000;
  std::int64_t expires_ms = 0;
  std::string name = {};
  std::string author = {};  // an id in JSON; empty: an API key; `null`: anonymous
  std::string data = "null";
  std::string form = "data";
  std::optional<Priority> priority = {};

  Event event() const {
    std::string body;
    if (seq != 0) body += fmt::format("\"seq\":{},", seq);
    body += fmt::format("\"timestamp\":{},", timestamp_ms);
    if (!name.empty()) body += fmt::format("\"event\":{},", json_string(name));
    if (author == "null") body += R"("from":{"user":null,"connection":"c-1"},)";
    if (!author.empty() && author != "null")
      body += fmt::format(R"("from":{{"user":{{"id":{},"type":"user"}},"connection":"c-1"}},)", author);
    if (priority) body += fmt::format("\"priority\":\"{}\",", protocol::name_of(*priority));
    body += fmt::format("\"{}\":{}}}", form, data);
    return event_of(SharedBytes(body), expires_ms);
  }
};

// The error's name, or `ok`.
template <class T>
std::string outcome(const Result<T>& result) {
  return result ? "ok" : std::string(name_of(result.error().code));
}

}  // namespace tidewire::kinds
