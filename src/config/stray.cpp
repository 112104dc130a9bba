#include "config/stray.h"

#include <algorithm>

namespace tidewire::config {

namespace {

// Behind the string that begins at `at`; one that its line should have ended ends with the line.
std::size_t skip_string(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const bool escapes = quote == '"';
  const std::string_view triple = text.substr(at, 3);
  const bool multi_line =
      triple.size() == 3 && std::all_of(triple.begin(), triple.end(), [&](char c) { return c == quote; });
  for (at += multi_line ? 3 : 1; at < text.size(); ++at) {
    if (escapes && text[at] == '\\') {
      ++at;
    } else if (!multi_line && (text[at] == quote || text[at] == '\n')) {
      return at + 1;
    } else if (multi_line && text.substr(at, 3) == triple) {
      at += 3;
      // Up to two quotes more belong to the string (TOML 1.0, multi-line strings).
      for (int more = 0; more < 2 && at < text.size() && text[at] == quote; ++more) ++at;
      return at;
    }
  }
  return text.size();
}

}  // namespace

std::size_t find_stray_character(std::string_view text) {
  std::size_t at = text.starts_with("\xef\xbb\xbf") ? 3 : 0;  // a byte order mark
  while (at < text.size()) {
    const char c = text[at];
    if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else if (c == '"' || c == '\'') {
      at = skip_string(text, at);
    } else if ((c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n' || c == '\r') {
      ++at;
    } else {
      return at;
    }
  }
  return text.npos;
}

}  // namespace tidewire::config
