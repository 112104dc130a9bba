// For tests of kinds: an event as the server writes it, so that what is folded went through the same text
// as in the log.
#pragma once

#include <random>
#include <string>
#include <string_view>

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

// A saved state of which the end, a byte or some bytes are lost: another one each time.
inline std::string damaged(std::string saved, std::mt19937& random) {
  static constexpr std::string_view kBytes = "0123456789-,:[]{}\"nebx ";
  const std::size_t at = random() % saved.size();
  switch (random() % 3) {
    case 0:
      saved.resize(at);
      break;
    case 1:
      saved[at] = kBytes[random() % kBytes.size()];
      break;
    default:
      saved.erase(at, 1 + random() % 4);
  }
  return saved;
}

// The error's name, or `ok`.
template <class T>
std::string outcome(const Result<T>& result) {
  return result ? "ok" : std::string(name_of(result.error().code));
}

}  // namespace tidewire::kinds
