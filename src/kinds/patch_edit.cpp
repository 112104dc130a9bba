#include "kinds/patch_edit.h"

#include <utility>

#include "base/check.h"

namespace tidewire::kinds {

namespace {

std::ptrdiff_t offset(std::size_t index) { return static_cast<std::ptrdiff_t>(index); }

// The bytes that a member's or element's being there costs besides its value: key, colon, comma.
std::size_t frame_bytes(const Json& parent, const std::string& key, std::size_t siblings) {
  const std::size_t comma = siblings == 0 ? 0 : 1;
  return parent.is_object() ? measure_string(key) + 1 + comma : comma;
}

}  // namespace

bool PatchEdit::add(const Path& path, Json&& value, std::size_t value_bytes) {
  if (path.empty()) return replace(path, std::move(value), value_bytes);
  Json* parent = find_at(tree_, path, path.size() - 1);
  if (parent == nullptr) return false;
  const std::string& key = path.back();
  if (parent->is_object()) {
    auto& members = parent->get_ref<Json::object_t&>();
    if (members.contains(key)) return replace(path, std::move(value), value_bytes);
    bytes_ += value_bytes + frame_bytes(*parent, key, members.size());
    members.emplace(key, std::move(value));
    steps_.push_back({.kind = Step::Kind::erase, .path = path});
    return true;
  }
  if (!parent->is_array()) return false;
  auto& elements = parent->get_ref<Json::array_t&>();
  const auto index = key == "-" ? elements.size() : index_of(key, elements.size() + 1);
  if (!index) return false;
  bytes_ += value_bytes + frame_bytes(*parent, key, elements.size());
  shifted_ += elements.size() - *index;
  elements.insert(elements.begin() + offset(*index), std::move(value));
  Step& step = steps_.emplace_back(Step{.kind = Step::Kind::erase, .path = path});
  step.path.back() = std::to_string(*index);
  return true;
}

bool PatchEdit::replace(const Path& path, Json&& value, std::size_t value_bytes) {
  Json* place = find_at(tree_, path);
  if (place == nullptr) return false;
  bytes_ = bytes_ - measure(*place).bytes + value_bytes;
  steps_.push_back(
      {.kind = Step::Kind::assign, .path = path, .value = std::exchange(*place, std::move(value))});
  return true;
}

bool PatchEdit::remove(const Path& path) {
  std::optional<Json> value = take_out(path);
  if (!value) return false;
  bytes_ -= measure(*value).bytes;
  steps_.push_back({.kind = Step::Kind::insert, .path = path, .value = std::move(*value)});
  return true;
}

bool PatchEdit::move(const Path& from, const Path& to) {
  std::optional<Json> value = take_out(from);
  if (!value) return false;
  const std::size_t taken_out = steps_.size();
  steps_.push_back({.kind = Step::Kind::insert, .path = from, .moved = true});
  // The value's own length stays in bytes_ all the while.
  if (add(to, std::move(*value), 0)) return true;
  // add() has not taken it.
  steps_[taken_out] = {.kind = Step::Kind::insert, .path = from, .value = std::move(*value)};
  return false;
}

// Accounts for the frame, not for the value.
std::optional<Json> PatchEdit::take_out(const Path& path) {
  if (path.empty()) return std::nullopt;
  Json* parent = find_at(tree_, path, path.size() - 1);
  if (parent == nullptr) return std::nullopt;
  const std::string& key = path.back();
  if (parent->is_object()) {
    auto& members = parent->get_ref<Json::object_t&>();
    const auto found = members.find(key);
    if (found == members.end()) return std::nullopt;
    Json value = std::move(found->second);
    members.erase(found);
    bytes_ -= frame_bytes(*parent, key, members.size());
    return value;
  }
  if (!parent->is_array()) return std::nullopt;
  auto& elements = parent->get_ref<Json::array_t&>();
  const auto index = index_of(key, elements.size());
  if (!index) return std::nullopt;
  Json value = std::move(elements[*index]);
  shifted_ += elements.size() - 1 - *index;
  elements.erase(elements.begin() + offset(*index));
  bytes_ -= frame_bytes(*parent, key, elements.size());
  return value;
}

void PatchEdit::put_back(const Path& path, Json&& value) {
  Json* parent = find_at(tree_, path, path.size() - 1);
  TIDEWIRE_CHECK(parent != nullptr);
  if (parent->is_object()) {
    parent->get_ref<Json::object_t&>().emplace(path.back(), std::move(value));
    return;
  }
  auto& elements = parent->get_ref<Json::array_t&>();
  const auto index = index_of(path.back(), elements.size() + 1);
  TIDEWIRE_CHECK(index.has_value());
  elements.insert(elements.begin() + offset(*index), std::move(value));
}

void PatchEdit::undo() {
  Json last;  // what the step before took out of the tree
  for (; !steps_.empty(); steps_.pop_back()) {
    Step& step = steps_.back();
    switch (step.kind) {
      case Step::Kind::erase:
        last = *take_out(step.path);
        break;
      case Step::Kind::assign:
        last = std::exchange(*find_at(tree_, step.path), std::move(step.value));
        break;
      case Step::Kind::insert:
        put_back(step.path, step.moved ? std::move(last) : std::move(step.value));
    }
  }
  bytes_ = bytes_before_;
}

}  // namespace tidewire::kinds
