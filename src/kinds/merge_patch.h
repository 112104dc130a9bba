// JSON Merge Patch (RFC 7396): applying one, and two in a row as one.
//
// Pure functions over trees that parse_tree made; includes nlohmann/json, so only for .cpp files.
#pragma once

#include <cstdint>

#include "kinds/json_tree.h"

namespace tidewire::kinds {

// By how many bytes `target`'s compact text grows when `patch` is merged into it. The work is that of the
// patch and of what it throws away, not of the target.
std::int64_t merge_growth(const Json& target, const Json& patch);

// Merges `patch` into `target` (RFC 7396 §2).
void apply_merge(Json& target, Json&& patch);

// Makes `first` the merge that does to any document what `first` and then `second` do. False, and `first`
// is spoilt, when there is none: where the first one deletes a value or puts one that is no object, and
// the second merges members into it, one merge would mix them with the members that stood there before.
bool compose_merges(Json& first, Json&& second);

}  // namespace tidewire::kinds
