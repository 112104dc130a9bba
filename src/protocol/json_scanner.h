// One strict pass over a JSON text (RFC 8259) that yields slices and decodes nothing.
//
// Payload travels byte for byte (protocol §3), so numbers of any size and escapes of any sort must
// pass as they are; a parser that turns values into machine types would refuse or change them. The
// scanner checks the whole grammar and the depth, and hands out the members of one object or array as
// slices of the input. UTF-8 is checked before, where bytes come in. Pure; slices live as long as the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidewire::protocol {

enum class JsonType : std::uint8_t { null, boolean, number, string, array, object };

struct JsonValue {
  JsonType type = JsonType::null;
  std::string_view text;  // the value as it stands, quotes and brackets included
};

struct JsonMember {
  std::string key;  // unescaped
  JsonValue value;
};

// The value that `text` holds, when it is one valid JSON value with nothing but white space around it,
// nested at most `depth_max` deep (an empty object is 1 deep). nullopt otherwise.
std::optional<JsonValue> scan_json(std::string_view text, int depth_max);

// The members of a valid JSON object, in order, doubled keys included. `object` must come from scan_json,
// or be one that the server wrote; its opening brace may be missing, as in the body of a delivery.
void split_object(JsonValue object, std::vector<JsonMember>& out);

// The first `most` elements of a valid JSON array. `array` must come from scan_json.
std::vector<JsonValue> split_array(JsonValue array,
                                   std::size_t most = std::numeric_limits<std::size_t>::max());

// The characters of a valid JSON string value. Escapes of lone surrogates become U+FFFD.
// `lone` says whether there was one.
std::string unescape(JsonValue string, bool* lone = nullptr);

// The value of a number written without fraction or exponent, if it fits.
std::optional<std::int64_t> integer_of(JsonValue number);

// Unicode code points in UTF-8 text.
std::size_t count_characters(std::string_view utf8);

}  // namespace tidewire::protocol
