#include "protocol/delivery_head.h"

#include <algorithm>
#include <charconv>

namespace tidewire::protocol {

namespace {

// The characters of the string that `rest` begins with, as they stand; takes it off.
std::string_view take_string(std::string_view& rest) {
  std::size_t end = 1;
  while (end < rest.size() && rest[end] != '"') end += rest[end] == '\\' ? 2 : 1;
  end = std::min(end, rest.size());
  const std::string_view text = rest.substr(1, end - 1);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return text;
}

std::optional<std::uint64_t> integer_in(std::string_view text) {
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

DeliveryHead read_delivery_head(std::string_view json) {
  DeliveryHead head;
  if (!json.starts_with('{')) return head;
  do {
    json.remove_prefix(1);  // the brace, or the comma
    if (!json.starts_with('"')) break;
    const std::string_view key = take_string(json);
    if (key == "data" || key == "merge" || key == "patch" || !json.starts_with(':')) break;
    json.remove_prefix(1);
    if (json.starts_with('"')) {
      const std::string_view value = take_string(json);
      if (key == "type")
        head.type = value;
      else if (key == "channel")
        head.channel = value;
      else if (key == "epoch")
        head.epoch = value;
      continue;
    }
    if (json.starts_with('{') || json.starts_with('[')) break;
    const std::string_view value = json.substr(0, json.find_first_of(",}"));
    json.remove_prefix(value.size());
    if (key == "seq")
      head.seq = integer_in(value);
    else if (key == "to")
      head.to = integer_in(value);
  } while (json.starts_with(','));
  return head;
}

}  // namespace tidewire::protocol
