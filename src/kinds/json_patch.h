// JSON Patch (RFC 6902): a list of operations, all of which are done or none.
//
// Work and memory are bounded, since a few bytes of patch can double a document or shift a long array
// again and again. Pure; includes nlohmann/json, so only for .cpp files.
#pragma once

#include <cstddef>

#include "kinds/json_tree.h"

namespace tidewire::kinds {

struct PatchLimits {
  std::size_t bytes_max = 0;   // of the document after the patch
  std::size_t copied_max = 0;  // bytes of all that `copy` operations copy
  std::size_t work_max =
      0;  // bytes of all that `copy` and `move` look at, and 4 for each element that shifts
};

// `bytes` is the length of the document's compact text, and is kept so. On an error neither has changed:
// invalid_event for a patch that is malformed, does not apply, or would nest the document deeper than
// kTreeDepthMax; too_large for one that passes a limit. The document itself can be replaced, not removed.
Result<void> apply_patch(Json& document, std::size_t& bytes, Json&& patch, const PatchLimits& limits);

}  // namespace tidewire::kinds
