#include "kinds/merge_patch.h"

namespace tidewire::kinds {

namespace {

std::int64_t bytes_of(const Json& tree) { return static_cast<std::int64_t>(measure(tree).bytes); }

std::int64_t commas(std::size_t members) { return members < 2 ? 0 : static_cast<std::int64_t>(members) - 1; }

const Json& empty_object() {
  static const Json object = Json::object();
  return object;
}

std::int64_t object_growth(const Json& target, const Json& patch) {
  std::int64_t growth = 0;
  std::size_t members = target.size();
  for (const auto& [key, value] : patch.get_ref<const Json::object_t&>()) {
    const auto found = target.find(key);
    const bool exists = found != target.end();
    const auto head_bytes = static_cast<std::int64_t>(measure_string(key) + 1);
    if (value.is_null()) {
      if (!exists) continue;
      growth -= head_bytes + bytes_of(*found);
      --members;
    } else if (exists) {
      growth += merge_growth(*found, value);
    } else {
      growth += head_bytes;
      growth += value.is_object() ? bytes_of(empty_object()) + object_growth(empty_object(), value)
                                  : bytes_of(value);
      ++members;
    }
  }
  return growth + commas(members) - commas(target.size());
}

}  // namespace

std::int64_t merge_growth(const Json& target, const Json& patch) {
  if (!patch.is_object()) return bytes_of(patch) - bytes_of(target);
  if (target.is_object()) return object_growth(target, patch);
  return bytes_of(empty_object()) + object_growth(empty_object(), patch) - bytes_of(target);
}

void apply_merge(Json& target, Json&& patch) {
  if (!patch.is_object()) {
    target = std::move(patch);
    return;
  }
  if (!target.is_object()) target = Json::object();
  auto& members = target.get_ref<Json::object_t&>();
  for (auto& [key, value] : patch.get_ref<Json::object_t&>()) {
    if (value.is_null())
      members.erase(key);
    else
      apply_merge(members[key], std::move(value));
  }
}

bool compose_merges(Json& first, Json&& second) {
  if (!second.is_object()) {
    first = std::move(second);
    return true;
  }
  if (!first.is_object()) return false;
  auto& members = first.get_ref<Json::object_t&>();
  for (auto& [key, value] : second.get_ref<Json::object_t&>()) {
    const auto [place, is_new] = members.try_emplace(key, nullptr);
    if (is_new)
      place->second = std::move(value);
    else if (!compose_merges(place->second, std::move(value)))
      return false;
  }
  return true;
}

}  // namespace tidewire::kinds
