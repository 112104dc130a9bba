#include "telemetry/redact.h"

#include <algorithm>
#include <array>

#include "base/characters.h"

namespace tidewire::log {

namespace {

constexpr std::string_view kMask = "***";
constexpr std::array<std::string_view, 7> kParameters = {"token",    "access_token", "key",        "secret",
                                                         "password", "api_key",      "sslpassword"};
constexpr std::string_view kUrlEnds = " \t\r\n\"<>";
constexpr std::array<std::string_view, 5> kHeaders = {"authorization", "proxy-authorization", "cookie",
                                                      "set-cookie", "x-api-key"};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_word(char c) { return is_alphanumeric(c) || c == '_' || c == '-'; }

bool starts_with_any_case(std::string_view text, std::string_view lower_prefix) {
  return text.size() >= lower_prefix.size() &&
         std::equal(lower_prefix.begin(), lower_prefix.end(), text.begin(),
                    [](char expected, char c) { return expected == lower(c); });
}

// Percent-decoded and in lower case, as a server would compare it.
std::string decoded(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '%' && i + 2 < name.size() && hex_digit(name[i + 1]) >= 0 && hex_digit(name[i + 2]) >= 0) {
      out += lower(static_cast<char>(hex_digit(name[i + 1]) * 16 + hex_digit(name[i + 2])));
      i += 2;
    } else {
      out += lower(name[i]);
    }
  }
  return out;
}

class Redactor {
 public:
  explicit Redactor(std::string_view text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      const bool word_start = at_ == 0 || !is_word(text_[at_ - 1]);
      in_url_ = in_url_ && kUrlEnds.find(text_[at_]) == kUrlEnds.npos;
      if (in_url_ && query()) continue;
      if (word_start && (header() || parameter() || bearer() || prefixed())) continue;
      if (authority()) continue;
      out_ += text_[at_++];
    }
    return std::move(out_);
  }

 private:
  std::string_view rest() const { return text_.substr(at_); }

  void copy(std::size_t bytes) {
    out_ += rest().substr(0, bytes);
    at_ += std::min(bytes, text_.size() - at_);
  }
  // How far it is to the next of `ends` that has no backslash before it.
  std::size_t length_until(std::string_view ends) const {
    std::size_t length = 0;
    while (length < rest().size() && ends.find(rest()[length]) == ends.npos)
      length += rest()[length] == '\\' ? 2 : 1;
    return std::min(length, rest().size());
  }
  // Leaves out everything before the next of `ends`.
  void mask_until(std::string_view ends) {
    const std::size_t length = length_until(ends);
    if (length != 0) out_ += kMask;
    at_ += length;
  }

  // "Authorization: ..." up to the end of the line.
  bool header() {
    for (const std::string_view name : kHeaders) {
      if (!starts_with_any_case(rest(), name)) continue;
      std::size_t length = name.size();
      while (length < rest().size() && rest()[length] == ' ') ++length;
      if (length >= rest().size() || rest()[length] != ':') continue;
      ++length;
      while (length < rest().size() && rest()[length] == ' ') ++length;
      copy(length);
      mask_until("\r\n");
      return true;
    }
    return false;
  }

  // "token=..." at the start, or behind '?', '&' and the like.
  bool parameter() {
    std::size_t length = 0;
    while (length < rest().size() && length < 48 && (is_word(rest()[length]) || rest()[length] == '%'))
      ++length;
    if (length == 0 || length >= rest().size() || rest()[length] != '=') return false;
    const std::string name = decoded(rest().substr(0, length));
    if (std::find(kParameters.begin(), kParameters.end(), name) == kParameters.end()) return false;
    copy(length + 1);
    mask_until("&#; \t\r\n\"'<>");
    return true;
  }

  bool bearer() {
    constexpr std::string_view kBearer = "bearer ";
    if (!starts_with_any_case(rest(), kBearer)) return false;
    copy(kBearer.size());
    mask_until(" \t\r\n,\"'");
    return true;
  }

  bool prefixed() {
    for (const std::string_view prefix : {std::string_view("tidewire.token."), std::string_view("tw_")}) {
      if (!rest().starts_with(prefix)) continue;
      copy(prefix.size());
      mask_until(" \t\r\n,;&\"'");
      return true;
    }
    // A JWT: its header is base64url of `{"`.
    if (rest().starts_with("eyJ") &&
        rest().substr(0, rest().find_first_of(" \t\r\n,;&\"'")).find('.') != rest().npos) {
      mask_until(" \t\r\n,;&\"'");
      return true;
    }
    return false;
  }

  // "://user:password@": the password, which may have '?' and '#' in it (libpq takes them).
  bool authority() {
    if (!rest().starts_with("://")) return false;
    copy(3);
    in_url_ = true;
    const std::string_view inside = rest().substr(0, length_until("/ \t\r\n\""));
    const std::size_t at = inside.rfind('@');
    const std::size_t colon = inside.substr(0, at).find(':');
    if (at == inside.npos || colon == inside.npos) return true;
    copy(colon + 1);
    out_ += kMask;
    at_ += at - colon - 1;
    return true;
  }

  // "?name=value&..." or "#..." of a URL, up to its end: every value, and what has no name.
  bool query() {
    if (rest().front() != '?' && rest().front() != '#') return false;
    const std::string ends = "?#&;" + std::string(kUrlEnds);
    do {
      copy(1);
      const std::size_t equals = rest().substr(0, length_until(ends)).find('=');
      if (equals != rest().npos) copy(equals + 1);
      mask_until(ends);
    } while (!rest().empty() && kUrlEnds.find(rest().front()) == kUrlEnds.npos);
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool in_url_ = false;  // behind "://", and its end has not come
  std::string out_;
};

}  // namespace

std::string redact(std::string_view text) { return Redactor(text).run(); }

}  // namespace tidewire::log
