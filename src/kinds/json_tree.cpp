#include "kinds/json_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/json_text.h"
#include "protocol/json_scanner.h"

namespace tidewire::kinds {

namespace {

// Long enough for any 64-bit integer and any double in its shortest form.
struct NumberText {
  char digits[40];
  std::size_t size = 0;
  std::string_view view() const { return {digits, size}; }
};

template <class Number>
NumberText number_text(Number value) {
  NumberText text;
  text.size =
      static_cast<std::size_t>(std::to_chars(text.digits, std::end(text.digits), value).ptr - text.digits);
  return text;
}

// A double must not be read back as an integer: -0 would lose its sign.
NumberText double_text(double value) {
  NumberText text = number_text(value);
  if (text.view().find_first_of(".e") == std::string_view::npos) {
    text.digits[text.size++] = '.';
    text.digits[text.size++] = '0';
  }
  return text;
}

NumberText number_of(const Json& value) {
  if (value.is_number_float()) return double_text(value.get_ref<const Json::number_float_t&>());
  if (value.is_number_unsigned()) return number_text(value.get_ref<const Json::number_unsigned_t&>());
  return number_text(value.get_ref<const Json::number_integer_t&>());
}

std::string_view literal_of(const Json& value) {
  if (value.is_null()) return "null";
  return value.get_ref<const Json::boolean_t&>() ? "true" : "false";
}

void append(std::string& out, const Json& value) {
  switch (value.type()) {
    case Json::value_t::object: {
      char before = '{';
      for (const auto& [key, member] : value.get_ref<const Json::object_t&>()) {
        out += std::exchange(before, ',');
        append_json_string(out, key);
        out += ':';
        append(out, member);
      }
      out += value.empty() ? "{}" : "}";
      return;
    }
    case Json::value_t::array: {
      char before = '[';
      for (const Json& element : value.get_ref<const Json::array_t&>()) {
        out += std::exchange(before, ',');
        append(out, element);
      }
      out += value.empty() ? "[]" : "]";
      return;
    }
    case Json::value_t::string:
      return append_json_string(out, value.get_ref<const std::string&>());
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      out += number_of(value).view();
      return;
    default:
      out += literal_of(value);
  }
}

// Never by way of a type that can't hold both: a double for two integers, say.
bool same_number(const Json& a, const Json& b) {
  if (a.is_number_float() && b.is_number_float()) return a.get<double>() == b.get<double>();
  if (a.is_number_float()) return same_number(b, a);
  if (!b.is_number_float()) {
    if (a.is_number_unsigned() && b.is_number_unsigned())
      return a.get<std::uint64_t>() == b.get<std::uint64_t>();
    if (a.is_number_unsigned()) return std::cmp_equal(a.get<std::uint64_t>(), b.get<std::int64_t>());
    if (b.is_number_unsigned()) return std::cmp_equal(a.get<std::int64_t>(), b.get<std::uint64_t>());
    return a.get<std::int64_t>() == b.get<std::int64_t>();
  }
  const double real = b.get<double>();
  if (real != std::trunc(real)) return false;
  if (a.is_number_unsigned())
    return real >= 0 && real < 0x1p64 && static_cast<std::uint64_t>(real) == a.get<std::uint64_t>();
  return real >= -0x1p63 && real < 0x1p63 && static_cast<std::int64_t>(real) == a.get<std::int64_t>();
}

}  // namespace

Result<Json> parse_tree(std::string_view text, std::string_view what) {
  if (!protocol::scan_json(text, static_cast<int>(kTreeDepthMax)))
    return fail(ErrorCode::invalid_event, fmt::format("{} nests deeper than {}", what, kTreeDepthMax));
  try {
    return Json::parse(text);
  } catch (const Json::out_of_range&) {
    return fail(ErrorCode::invalid_event,
                fmt::format("{} has a number that is beyond the range of a double", what));
  } catch (const Json::exception&) {
    return fail(ErrorCode::invalid_event,
                fmt::format("{} has an escape that is half of a surrogate pair and no character", what));
  }
}

std::size_t measure_string(std::string_view text) {
  std::size_t bytes = text.size() + 2;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    const bool short_escape =
        byte >= 0x20 || byte == '\b' || byte == '\f' || byte == '\n' || byte == '\r' || byte == '\t';
    bytes += short_escape ? 1 : 5;
  }
  return bytes;
}

Measure measure(const Json& tree) {
  Measure sum;
  const auto inside = [&sum](const Json& child) {
    const Measure part = measure(child);
    sum.bytes += part.bytes + 1;  // a comma or the closing bracket
    sum.depth = std::max(sum.depth, part.depth);
  };
  switch (tree.type()) {
    case Json::value_t::object:
      for (const auto& [key, member] : tree.get_ref<const Json::object_t&>()) {
        sum.bytes += measure_string(key) + 1;
        inside(member);
      }
      return {.bytes = tree.empty() ? 2 : sum.bytes + 1, .depth = sum.depth + 1};
    case Json::value_t::array:
      for (const Json& element : tree.get_ref<const Json::array_t&>()) inside(element);
      return {.bytes = tree.empty() ? 2 : sum.bytes + 1, .depth = sum.depth + 1};
    case Json::value_t::string:
      return {.bytes = measure_string(tree.get_ref<const std::string&>())};
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      return {.bytes = number_of(tree).size};
    default:
      return {.bytes = literal_of(tree).size()};
  }
}

std::string text_of(const Json& tree) {
  std::string out;
  append(out, tree);
  return out;
}

bool same_value(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) return same_number(a, b);
  if (a.type() != b.type()) return false;
  if (a.is_array())
    return std::ranges::equal(a.get_ref<const Json::array_t&>(), b.get_ref<const Json::array_t&>(),
                              same_value);
  if (a.is_object())
    return std::ranges::equal(
        a.get_ref<const Json::object_t&>(), b.get_ref<const Json::object_t&>(),
        [](const auto& x, const auto& y) { return x.first == y.first && same_value(x.second, y.second); });
  return a == b;
}

}  // namespace tidewire::kinds
