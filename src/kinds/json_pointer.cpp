#include "kinds/json_pointer.h"

#include <charconv>

namespace tidewire::kinds {

std::optional<Path> path_of(std::string_view pointer) {
  Path path;
  if (pointer.empty()) return path;
  if (pointer.front() != '/') return std::nullopt;
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      path.emplace_back();
    } else if (pointer[i] != '~') {
      path.back() += pointer[i];
    } else {
      const std::string_view escape = pointer.substr(i, 2);
      if (escape != "~0" && escape != "~1") return std::nullopt;
      path.back() += escape == "~0" ? '~' : '/';
      ++i;
    }
  }
  return path;
}

std::optional<std::size_t> index_of(std::string_view token, std::size_t end) {
  if (token.empty() || (token.front() == '0' && token.size() > 1)) return std::nullopt;
  std::size_t index = 0;
  const char* stop = token.data() + token.size();
  const auto [at, error] = std::from_chars(token.data(), stop, index);
  if (error != std::errc() || at != stop || index >= end) return std::nullopt;
  return index;
}

Json* find_at(Json& tree, const Path& path, std::size_t tokens) {
  Json* at = &tree;
  for (std::size_t i = 0; i < tokens; ++i) {
    if (at->is_object()) {
      auto& members = at->get_ref<Json::object_t&>();
      const auto found = members.find(path[i]);
      if (found == members.end()) return nullptr;
      at = &found->second;
    } else if (at->is_array()) {
      auto& elements = at->get_ref<Json::array_t&>();
      const auto index = index_of(path[i], elements.size());
      if (!index) return nullptr;
      at = &elements[*index];
    } else {
      return nullptr;
    }
  }
  return at;
}

}  // namespace tidewire::kinds
