#include "wire/url.h"

#include <algorithm>
#include <charconv>

#include "wire/characters.h"

namespace tidewire::wire {
namespace {

enum class Plus : bool { literal, space };

std::optional<std::string> decode(std::string_view text, Plus plus) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus == Plus::space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high << 4 | low);
      i += 2;
    }
  }
  return out;
}

// Calls f(raw name, raw value) for each parameter until f answers false.
template <class F>
void for_each_pair(std::string_view query, F&& f) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (!f(pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size())))) return;
  }
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) { return decode(text, Plus::literal); }

std::optional<std::string> query_parameter(std::string_view query, std::string_view name) {
  const auto raw = raw_query_parameter(query, name);
  return raw ? query_decode(*raw) : std::nullopt;
}

std::optional<std::string_view> raw_query_parameter(std::string_view query, std::string_view name) {
  std::optional<std::string_view> value;
  for_each_pair(query, [&](std::string_view raw_name, std::string_view raw) {
    if (decode(raw_name, Plus::space) != name) return true;
    value = raw;
    return false;
  });
  return value;
}

std::optional<std::string> query_decode(std::string_view raw) { return decode(raw, Plus::space); }

std::vector<std::pair<std::string, std::optional<std::string>>> query_pairs(std::string_view query) {
  std::vector<std::pair<std::string, std::optional<std::string>>> pairs;
  for_each_pair(query, [&](std::string_view raw_name, std::string_view raw) {
    if (auto name = decode(raw_name, Plus::space)) pairs.emplace_back(*name, decode(raw, Plus::space));
    return true;
  });
  return pairs;
}

std::optional<HostAndPort> split_host(std::string_view text) {
  std::size_t size = std::min(text.find(':'), text.size());
  if (text.starts_with('[')) {
    size = text.find(']');
    if (size == std::string_view::npos || size == 1) return std::nullopt;
    if (!std::ranges::all_of(text.substr(1, size - 1),
                             [](char c) { return hex_digit(c) >= 0 || c == ':' || c == '.'; }))
      return std::nullopt;
    ++size;
  } else if (!std::ranges::all_of(text.substr(0, size), [](char c) {
               return is_alphanumeric(c) ||
                      std::string_view("-._~%!$&'()*+;=").find(c) != std::string_view::npos;
             })) {
    return std::nullopt;
  }
  HostAndPort out{.host = text.substr(0, size)};
  text.remove_prefix(size);
  if (text.empty() || text == ":") return out;
  if (text.front() != ':') return std::nullopt;
  text.remove_prefix(1);
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port > 65535) return std::nullopt;
  out.port = port;
  return out;
}

}  // namespace tidewire::wire
