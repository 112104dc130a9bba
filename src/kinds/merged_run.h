// A delivery that stands for several (protocol §5, `first_seq`). Pure.
#pragma once

#include <span>
#include <string_view>

#include "kinds/fold.h"

namespace tidewire::kinds {

// One run in the place of these, at least one: the last one's members (`event`, `from`, …) as they stand,
// `flags` of all of them, and `payload` (JSON) as the member `name` in place of its `data`, `merge` or
// `patch`.
Run merged_run(std::span<const Run> runs, std::string_view name, std::string_view payload);

}  // namespace tidewire::kinds
