#include "base/json_text.h"

#include <algorithm>

namespace tidewire {

void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text.substr(start, i - start));
    start = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    }
  }
  out.append(text.substr(start));
  out.push_back('"');
}

void append_json_without_line_breaks(std::string& out, std::string_view text) {
  std::size_t feed = text.find('\n'), carriage_return = text.find('\r');
  for (std::size_t start = 0;;) {
    const std::size_t end = std::min({feed, carriage_return, text.size()});
    out.append(text.substr(start, end - start));
    if (end == text.size()) return;
    start = end + 1;
    (end == feed ? feed : carriage_return) = text.find(text[end], start);
  }
}

}  // namespace tidewire
