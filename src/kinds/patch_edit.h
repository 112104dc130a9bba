// Changes to a JSON tree that can be taken back: what makes a patch all or nothing without a copy of the
// document.
//
// Invariant: `bytes()` is the length of the tree's compact text; undo() brings back the tree that the
// editing began with. What was replaced or removed is kept until the edit ends, so memory is bounded by the
// document and all that was put into it. Includes nlohmann/json, so only for .cpp files.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "kinds/json_pointer.h"

namespace tidewire::kinds {

class PatchEdit {
 public:
  PatchEdit(Json& tree, std::size_t bytes) : tree_(tree), bytes_(bytes), bytes_before_(bytes) {}

  Json& tree() { return tree_; }
  std::size_t bytes() const { return bytes_; }
  // How many array elements had to move so far to make or to close a gap.
  std::size_t shifted() const { return shifted_; }

  // Puts a value whose text is `value_bytes` long at the path, as `add` does (RFC 6902 §4.1). False, and
  // nothing has changed: there is no such place.
  bool add(const Path& path, Json&& value, std::size_t value_bytes);
  // Puts a value in the place of another one. False: there is none.
  bool replace(const Path& path, Json&& value, std::size_t value_bytes);
  // Removes what stands there, which may not be the whole document. False: there is nothing.
  bool remove(const Path& path);
  // Removes a value and adds it elsewhere (RFC 6902 §4.4). False: there is no such place, or nothing to move;
  // the value may be gone until undo().
  bool move(const Path& from, const Path& to);

  void undo();

 private:
  struct Step {
    enum class Kind : std::uint8_t { erase, insert, assign };
    Kind kind;
    Path path;
    Json value = nullptr;
    bool moved = false;  // insert: the value is the one that the step before took out
  };

  std::optional<Json> take_out(const Path& path);
  void put_back(const Path& path, Json&& value);

  Json& tree_;
  std::size_t bytes_;
  std::size_t bytes_before_;
  std::size_t shifted_ = 0;
  std::vector<Step> steps_;  // that undo what was done, the last one first
};

}  // namespace tidewire::kinds
