// Reads typed fields out of one JSON object and remembers the first thing that was wrong with them.
//
// A reader asks for what it wants and looks at ok() once, at the end. The object must have passed
// scan_json. Used for requests and for HTTP bodies alike.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/json_text.h"
#include "protocol/json_scanner.h"
#include "wire/utf8.h"

namespace tidewire::protocol {

class Fields {
 public:
  explicit Fields(JsonValue object) { split_object(object, members_); }

  bool ok() const { return problem_.empty(); }
  const std::string& problem() const { return problem_; }
  // Keeps the first refusal only.
  void refuse(std::string why) {
    if (problem_.empty()) problem_ = std::move(why);
  }

  const JsonValue* find(std::string_view name) const {
    const auto found = std::ranges::find(members_, name, &JsonMember::key);
    return found == members_.end() ? nullptr : &found->value;
  }
  bool has(std::string_view name) const { return find(name) != nullptr; }

  // The value as it stands; empty when absent.
  std::string_view raw(std::string_view name) const {
    const JsonValue* value = find(name);
    return value == nullptr ? std::string_view() : value->text;
  }

  // The escape of half a surrogate pair has no text of its own: all of them become U+FFFD. What is kept or
  // compared as text must not have one, or two that differ would be the same.
  enum class LoneSurrogates : std::uint8_t { replaced, refused };

  // Empty when absent.
  std::string string(std::string_view name, std::size_t characters_max = std::string_view::npos,
                     LoneSurrogates lone_surrogates = LoneSurrogates::replaced) {
    const JsonValue* value = find(name);
    if (value == nullptr) return {};
    if (value->type != JsonType::string) {
      refuse(fmt::format("`{}` must be a string", name));
      return {};
    }
    bool lone = false;
    std::string text = unescape(*value, &lone);
    if (lone && lone_surrogates == LoneSurrogates::refused)
      refuse(fmt::format("`{}` has an escape that is half of a surrogate pair and no character", name));
    if (characters_max != std::string_view::npos && count_characters(text) > characters_max)
      refuse(fmt::format("`{}` is longer than {} characters", name, characters_max));
    return text;
  }

  std::string required_string(std::string_view name, std::size_t characters_max = std::string_view::npos) {
    if (!has(name)) refuse(fmt::format("`{}` is missing", name));
    return string(name, characters_max);
  }

  std::optional<std::int64_t> integer(std::string_view name, std::int64_t min, std::int64_t max) {
    const JsonValue* value = find(name);
    if (value == nullptr) return std::nullopt;
    const auto number = integer_of(*value);
    if (!number || *number < min || *number > max) {
      refuse(fmt::format("`{}` must be an integer from {} to {}", name, min, max));
      return std::nullopt;
    }
    return number;
  }

  bool boolean(std::string_view name, bool if_absent) {
    const JsonValue* value = find(name);
    if (value == nullptr) return if_absent;
    if (value->type != JsonType::boolean) refuse(fmt::format("`{}` must be true or false", name));
    return value->text == "true";
  }

  // A key that stands twice in an envelope is refused (protocol §3).
  void refuse_doubled() {
    std::unordered_set<std::string_view> seen;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const std::string_view key = members_[i].key;
      // A usual envelope has a handful of keys, for which looking back is cheapest.
      const bool doubled =
          i < kFew
              ? std::ranges::find(members_.begin(), members_.begin() + static_cast<std::ptrdiff_t>(i), key,
                                  &JsonMember::key) != members_.begin() + static_cast<std::ptrdiff_t>(i)
              : seen.contains(key);
      if (doubled)
        return refuse(fmt::format("the key {} stands twice", json_string(wire::utf8_prefix(key, 64))));
      if (members_.size() > kFew) seen.insert(key);
    }
  }

 private:
  static constexpr std::size_t kFew = 16;
  std::vector<JsonMember> members_;
  std::string problem_;
};

}  // namespace tidewire::protocol
