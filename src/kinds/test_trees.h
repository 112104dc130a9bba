// Random JSON trees, small and with few keys, so that edits of one often meet another.
#pragma once

#include <string>

#include "kinds/json_patch.h"
#include "kinds/json_tree.h"
#include "kinds/test_events.h"

namespace tidewire::kinds {

inline constexpr PatchLimits kPatchLimits{.bytes_max = 1 << 20, .copied_max = 1 << 20, .work_max = 1 << 26};

inline Json tree_of(std::string_view text) { return parse_tree(text, "it").value(); }

inline std::string random_key(Dice& dice) {
  static const std::string kKeys[] = {"a", "b", "c", "", "~/", "\"\n\x01", "\xc3\xa9", "0", "-"};
  return dice.pick(kKeys);
}

inline Json random_scalar(Dice& dice) {
  static const Json kScalars[] = {nullptr,
                                  nullptr,
                                  true,
                                  false,
                                  0,
                                  -1,
                                  1.5,
                                  1e300,
                                  -0.0,
                                  1e22,
                                  UINT64_MAX,
                                  INT64_MIN,
                                  "",
                                  "x",
                                  "\"\\/\b\f\n\r\t\x1f\x7f",
                                  "\xf0\x9f\x98\x80"};
  return dice.pick(kScalars);
}

inline Json random_tree(Dice& dice, std::size_t depth) {
  const std::size_t shape = depth == 0 ? 0 : dice.below(4);
  if (shape == 0) return random_scalar(dice);
  Json tree = shape == 1 ? Json::array() : Json::object();
  for (std::size_t i = dice.below(4); i > 0; --i) {
    if (tree.is_array())
      tree.push_back(random_tree(dice, depth - 1));
    else
      tree[random_key(dice)] = random_tree(dice, depth - 1);
  }
  return tree;
}

// A pointer that is more or less likely to lead somewhere in this tree.
inline std::string random_pointer(Dice& dice, const Json& tree) {
  std::string pointer;
  const Json* at = &tree;
  while (!dice.one_in(3)) {
    std::string token = random_key(dice);
    if (at != nullptr && !at->empty() && !dice.one_in(8)) {
      if (at->is_array()) token = std::to_string(dice.below(at->size() + 1));
      if (at->is_object())
        token = std::next(at->begin(), static_cast<std::ptrdiff_t>(dice.below(at->size()))).key();
    }
    pointer += '/';
    for (const char c : token) pointer += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    const bool known = at != nullptr && ((at->is_object() && at->contains(token)) ||
                                         (at->is_array() && token == "0" && !at->empty()));
    at = !known ? nullptr : at->is_array() ? &at->at(0) : &at->at(token);
  }
  return pointer;
}

inline Json random_operation(Dice& dice, const Json& tree) {
  static const std::string kNames[] = {"add", "add", "remove", "replace", "move", "copy", "test"};
  Json operation = {{"op", dice.pick(kNames)}, {"path", random_pointer(dice, tree)}};
  const std::string name = operation["op"];
  if (name == "move" || name == "copy")
    operation["from"] = random_pointer(dice, tree);
  else if (name != "remove")
    operation["value"] = random_tree(dice, 2);
  return operation;
}

}  // namespace tidewire::kinds
