// A place in a JSON tree (RFC 6901), as a patch names it.
//
// Pure; includes nlohmann/json, so only for .cpp files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kinds/json_tree.h"

namespace tidewire::kinds {

// The reference tokens, unescaped; none: the whole document.
using Path = std::vector<std::string>;

// nullopt: not empty and no slash in front, or a tilde that is neither ~0 nor ~1.
std::optional<Path> path_of(std::string_view pointer);

// An array's index as a token spells it: digits, no leading zero, below `end`.
std::optional<std::size_t> index_of(std::string_view token, std::size_t end);

// What stands at the first `tokens` tokens of the path; null where there is nothing. "-" names no element.
Json* find_at(Json& tree, const Path& path, std::size_t tokens);
inline Json* find_at(Json& tree, const Path& path) { return find_at(tree, path, path.size()); }

}  // namespace tidewire::kinds
