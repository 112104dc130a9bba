// A small JSON tree for tokens and key sets, parsed more strictly than RFC 8259 demands.
//
// Invariant: no object holds a member twice, nesting is at most the depth asked for, and an integer
// was written without fraction and exponent, so that 1, 1.0 and "1" stay apart. Not for the hot path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidewire::auth {

class JsonValue {
 public:
  enum class Type : std::uint8_t { null, boolean, integer, number, string, array, object };
  struct Member;

  // Defined where Member is complete.
  JsonValue();
  JsonValue(const JsonValue&);
  JsonValue(JsonValue&&) noexcept;
  JsonValue& operator=(const JsonValue&);
  JsonValue& operator=(JsonValue&&) noexcept;
  ~JsonValue();

  Type type = Type::null;
  bool boolean = false;
  std::int64_t integer = 0;  // with Type::integer; one beyond 64 bits is a Type::number
  double number = 0;         // with Type::integer too; always finite
  std::string string;
  std::vector<JsonValue> elements;  // of an array
  std::vector<Member> members;      // of an object, in the order of the text

  bool is_null() const { return type == Type::null; }
  bool is_integer() const { return type == Type::integer; }
  bool is_number() const { return type == Type::integer || type == Type::number; }
  bool is_string() const { return type == Type::string; }
  bool is_array() const { return type == Type::array; }
  bool is_object() const { return type == Type::object; }

  // The member of this name; null where there is none or this is no object.
  const JsonValue* find(std::string_view name) const;
};

struct JsonValue::Member {
  std::string name;
  JsonValue value;
};

// The one JSON value that `text` consists of. nullopt: not JSON, not UTF-8, a byte order mark or NUL
// byte, a number too large for a double, a member that stands twice, or deeper than `max_depth`.
std::optional<JsonValue> parse_json(std::string_view text, std::size_t max_depth);

}  // namespace tidewire::auth
