#include "config/types.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/json_text.h"

namespace tidewire::config::types {

namespace {

struct Unit {
  std::string_view suffix;
  std::int64_t factor;
};
constexpr Unit kDurations[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
constexpr Unit kSizes[] = {{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

std::unexpected<std::string> no(std::string message) { return std::unexpected(std::move(message)); }

// The text of a value that is one, from wherever it comes.
const std::string* text_of(const Value& value) {
  if (const auto* text = value.as<Value::Text>()) return &text->text;
  return value.as<std::string>();
}

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// A count and its unit, multiplied out.
std::optional<std::int64_t> scaled(std::string_view text, std::span<const Unit> units) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = number_in<std::int64_t>(text.substr(0, digits));
  if (!count) return std::nullopt;
  for (const Unit& unit : units) {
    if (unit.suffix != text.substr(digits)) continue;
    if (*count > std::numeric_limits<std::int64_t>::max() / unit.factor) return std::nullopt;
    return *count * unit.factor;
  }
  return std::nullopt;
}

Read<std::int64_t> bounded(std::int64_t value, Bounds bounds, std::string (*print)(std::int64_t)) {
  if (static_cast<double>(value) < bounds.min)
    return no("must be at least " + print(static_cast<std::int64_t>(bounds.min)));
  if (bounds.max != 0 && static_cast<double>(value) > bounds.max)
    return no("must be at most " + print(static_cast<std::int64_t>(bounds.max)));
  return value;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

}  // namespace

Read<std::string> string::read(const Value& value, Bounds) {
  const std::string* text = text_of(value);
  if (!text) return no("must be a string");
  if (has_control(*text)) return no("must not hold control characters");
  return *text;
}

std::string string::print(const type& value) { return json_string(value); }

Read<bool> boolean::read(const Value& value, Bounds) {
  if (const auto* flag = value.as<bool>()) return *flag;
  if (const auto* text = value.as<Value::Text>()) {
    if (text->text == "true" || text->text == "1") return true;
    if (text->text == "false" || text->text == "0") return false;
  }
  return no("must be true or false");
}

std::string boolean::print(type value) { return value ? "true" : "false"; }

Read<std::int64_t> integer::read(const Value& value, Bounds bounds) {
  std::optional<std::int64_t> found;
  if (const auto* number = value.as<std::int64_t>()) found = *number;
  if (const auto* text = value.as<Value::Text>()) found = number_in<std::int64_t>(text->text);
  if (!found) return no("must be an integer");
  return bounded(*found, bounds, print);
}

std::string integer::print(type value) { return fmt::format("{}", value); }

Read<double> number::read(const Value& value, Bounds bounds) {
  std::optional<double> found;
  if (const auto* real = value.as<double>()) found = *real;
  if (const auto* whole = value.as<std::int64_t>()) found = static_cast<double>(*whole);
  if (const auto* text = value.as<Value::Text>()) found = number_in<double>(text->text);
  if (!found || !std::isfinite(*found)) return no("must be a number");
  if (*found < bounds.min) return no("must be at least " + print(bounds.min));
  if (bounds.max != 0 && *found > bounds.max) return no("must be at most " + print(bounds.max));
  return *found;
}

std::string number::print(type value) {
  std::string out = fmt::format("{}", value);
  // TOML tells a float from an integer by its point or exponent.
  return out.find_first_of(".e") == out.npos ? out + ".0" : out;
}

Read<std::int64_t> duration::read(const Value& value, Bounds bounds) {
  const std::string* text = text_of(value);
  const auto found = text ? scaled(*text, kDurations) : std::nullopt;
  if (!found) return no("must be a duration such as \"500ms\", \"10s\", \"15m\", \"1h\" or \"7d\"");
  return bounded(*found, bounds, print);
}

std::string duration::print(type value) {
  const Unit* best = &kDurations[0];
  if (value == 0) return "\"0s\"";
  for (const Unit& unit : kDurations)
    if (value % unit.factor == 0) best = &unit;
  return fmt::format("\"{}{}\"", value / best->factor, best->suffix);
}

Read<std::int64_t> size::read(const Value& value, Bounds bounds) {
  std::optional<std::int64_t> found;
  if (const auto* number = value.as<std::int64_t>()) found = *number;
  if (const std::string* text = text_of(value)) {
    found = scaled(*text, kSizes);
    if (!found) found = number_in<std::int64_t>(*text);
  }
  if (!found) return no("must be a number of bytes, or a size such as \"64KiB\" or \"1MiB\"");
  return bounded(*found, bounds, print);
}

std::string size::print(type value) { return fmt::format("{}", value); }

Read<std::vector<std::string>> list::read(const Value& value, Bounds) {
  type out;
  if (const auto* text = value.as<Value::Text>()) {
    std::string_view rest = text->text;
    while (!trimmed(rest).empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      out.emplace_back(trimmed(rest.substr(0, comma)));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  } else if (const auto* array = value.as<Value::Array>()) {
    for (const Value& item : *array) {
      const auto* item_text = item.as<std::string>();
      if (!item_text) return no("must be a list of strings");
      out.push_back(*item_text);
    }
  } else {
    return no("must be a list of strings");
  }
  for (const std::string& item : out)
    if (item.empty() || has_control(item)) return no("must not hold empty items or control characters");
  return out;
}

std::string list::print(const type& value) {
  std::string out = "[";
  for (const std::string& item : value) {
    if (out.size() > 1) out += ", ";
    append_json_string(out, item);
  }
  return out + "]";
}

Read<std::size_t> read_word(const Value& value, std::span<const std::string_view> words) {
  const std::string* text = text_of(value);
  const auto found = text ? std::find(words.begin(), words.end(), *text) : words.end();
  if (found == words.end())
    return no("must be " + choices(words) + (text ? suggestion(*text, words) : std::string()));
  return static_cast<std::size_t>(found - words.begin());
}

Read<std::vector<ApiScope>> scopes::read(const Value& value, Bounds bounds) {
  const auto words = list::read(value, bounds);
  if (!words) return no(words.error());
  type out;
  for (const std::string& item : *words) {
    const auto scope = word<ApiScope>::read(Value{Value::Text{item}}, bounds);
    if (!scope) return no("\"" + item + "\" is no scope; a scope " + scope.error());
    if (std::find(out.begin(), out.end(), *scope) == out.end()) out.push_back(*scope);
  }
  if (out.empty()) return no("must name at least one scope");
  return out;
}

std::string scopes::print(const type& value) {
  list::type words;
  for (const ApiScope scope : value) words.emplace_back(name_of(scope));
  return list::print(words);
}

}  // namespace tidewire::config::types
