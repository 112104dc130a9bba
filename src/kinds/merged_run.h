// A delivery that stands for several (protocol §5, `first_seq`). Pure.
#pragma once

#include <string_view>

#include "kinds/fold.h"

namespace tidewire::kinds {

// One run in the place of those from `first` to `last`: the last one's members (`event`, `from`, …) as
// they stand, and `payload` (JSON) as the member `name` in place of its `data`, `merge` or `patch`.
Run merged_run(const Run& first, const Run& last, std::string_view name, std::string_view payload);

}  // namespace tidewire::kinds
