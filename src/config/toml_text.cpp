#include "config/toml_text.h"

#include <algorithm>
#include <stdexcept>

#include "config/stray.h"

namespace tidewire::config {
namespace {

// Some broken texts reach an assertion of the library, where they
// would end the process; as an exception they are one more reason why a text is not TOML.
[[noreturn]] void broken_assertion() { throw std::logic_error("the text is malformed"); }

}  // namespace
}  // namespace tidewire::config

#define TOML_ASSERT(condition) (static_cast<bool>(condition) ? void() : tidewire::config::broken_assertion())
#define TOML_EXCEPTIONS 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 32
#include <toml++/toml.h>

namespace tidewire::config {

namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

Value convert(const toml::node& node);

Value::Table convert_table(const toml::table& table) {
  Value::Table out;
  for (const auto& [key, node] : table) {
    Value value = convert(node);
    value.line = key.source().begin.line != 0 ? key.source().begin.line : value.line;
    out.push_back({std::string(key.str()), std::move(value)});
  }
  return out;
}

Value convert(const toml::node& node) {
  Value out;
  out.line = node.source().begin.line;
  if (const auto* table = node.as_table()) {
    out.data = convert_table(*table);
  } else if (const auto* array = node.as_array()) {
    Value::Array items;
    for (const toml::node& item : *array) items.push_back(convert(item));
    out.data = std::move(items);
  } else if (const auto* text = node.as_string()) {
    out.data = text->get();
  } else if (const auto* integer = node.as_integer()) {
    out.data = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    out.data = number->get();
  } else if (const auto* flag = node.as_boolean()) {
    out.data = flag->get();
  }
  return out;
}

}  // namespace

std::expected<Value::Table, ConfigProblem> parse_toml(std::string_view text, const std::string& source) {
  if (text.size() > kMaxBytes) return std::unexpected(ConfigProblem{{}, source, 0, "is larger than 1 MiB"});
  if (const std::size_t at = find_stray_character(text); at != text.npos) {
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n') + 1;
    return std::unexpected(
        ConfigProblem{{}, source, line, "is not TOML: a character that may stand only in quotes"});
  }
  try {
    return convert_table(toml::parse(text, source));
  } catch (const toml::parse_error& error) {
    return std::unexpected(ConfigProblem{
        {}, source, error.source().begin.line, "is not TOML: " + std::string(error.description())});
  } catch (const std::logic_error& error) {
    return std::unexpected(ConfigProblem{{}, source, 0, std::string("is not TOML: ") + error.what()});
  }
}

}  // namespace tidewire::config
