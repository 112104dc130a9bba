#include "auth/json_value.h"

#include <nlohmann/json.hpp>
#include <unordered_set>

namespace tidewire::auth {

namespace {

// Builds the tree from the parser's events. Every function answers whether to go on; the parser itself
// does not recurse, and neither the depth nor the tree can outgrow the text.
class TreeBuilder {
 public:
  TreeBuilder(JsonValue& root, std::size_t max_depth) : root_(root), max_depth_(max_depth) {}

  bool null() { return add({}) != nullptr; }
  bool boolean(bool value) {
    JsonValue v;
    v.type = JsonValue::Type::boolean;
    v.boolean = value;
    return add(std::move(v)) != nullptr;
  }
  bool number_integer(std::int64_t value) { return add_integer(value); }
  bool number_unsigned(std::uint64_t value) {
    if (value > static_cast<std::uint64_t>(INT64_MAX)) return add_number(static_cast<double>(value));
    return add_integer(static_cast<std::int64_t>(value));
  }
  bool number_float(double value, const std::string&) { return add_number(value); }
  bool string(std::string& value) {
    JsonValue v;
    v.type = JsonValue::Type::string;
    v.string = std::move(value);
    return add(std::move(v)) != nullptr;
  }
  bool binary(std::vector<std::uint8_t>&) { return false; }
  bool start_object(std::size_t) { return open(JsonValue::Type::object); }
  bool end_object() {
    JsonValue& object = *open_.back();
    open_.pop_back();
    return no_member_twice(object);
  }
  bool start_array(std::size_t) { return open(JsonValue::Type::array); }
  bool end_array() {
    open_.pop_back();
    return true;
  }
  bool key(std::string& name) {
    open_.back()->members.push_back({std::move(name), JsonValue()});
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) { return false; }

 private:
  static bool no_member_twice(const JsonValue& object) {
    if (object.members.size() <= 16) {
      for (std::size_t i = 1; i < object.members.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
          if (object.members[i].name == object.members[j].name) return false;
      return true;
    }
    std::unordered_set<std::string_view> names;
    for (const auto& [name, value] : object.members)
      if (!names.insert(name).second) return false;
    return true;
  }

  bool add_integer(std::int64_t value) {
    JsonValue v;
    v.type = JsonValue::Type::integer;
    v.integer = value;
    v.number = static_cast<double>(value);
    return add(std::move(v)) != nullptr;
  }
  bool add_number(double value) {
    JsonValue v;
    v.type = JsonValue::Type::number;
    v.number = value;
    return add(std::move(v)) != nullptr;
  }
  bool open(JsonValue::Type type) {
    if (open_.size() >= max_depth_) return false;
    JsonValue v;
    v.type = type;
    open_.push_back(add(std::move(v)));
    return true;
  }
  // Only the innermost container grows, so the pointers to those around it stay good.
  JsonValue* add(JsonValue value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    JsonValue& parent = *open_.back();
    if (parent.is_object()) {
      parent.members.back().value = std::move(value);
      return &parent.members.back().value;
    }
    return &parent.elements.emplace_back(std::move(value));
  }

  JsonValue& root_;
  std::size_t max_depth_;
  std::vector<JsonValue*> open_;
};

}  // namespace

JsonValue::JsonValue() = default;
JsonValue::JsonValue(const JsonValue&) = default;
JsonValue::JsonValue(JsonValue&&) noexcept = default;
JsonValue& JsonValue::operator=(const JsonValue&) = default;
JsonValue& JsonValue::operator=(JsonValue&&) noexcept = default;
JsonValue::~JsonValue() = default;

const JsonValue* JsonValue::find(std::string_view name) const {
  for (const auto& [member, value] : members)
    if (member == name) return &value;
  return nullptr;
}

std::optional<JsonValue> parse_json(std::string_view text, std::size_t max_depth) {
  // The library skips a byte order mark and takes a NUL byte for the end.
  if (text.starts_with("\xEF\xBB\xBF") || text.find('\0') != std::string_view::npos) return std::nullopt;
  JsonValue root;
  TreeBuilder builder(root, max_depth);
  if (!nlohmann::json::sax_parse(text, &builder)) return std::nullopt;
  return root;
}

}  // namespace tidewire::auth
