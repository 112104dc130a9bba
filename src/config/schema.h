// The table of settings (spec/settings.json) bound to the structs of settings.h: one Field per key,
// which can read, print, compare and copy its member. What knows all settings goes through here.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.h"
#include "config/settings.h"
#include "config/types.h"
#include "config/value.h"

namespace tidewire::config {

// Collects problems, and where the values stand that are read.
struct Report {
  std::vector<ConfigProblem>& problems;
  Places* places = nullptr;

  void stands(const std::string& key, const Place& place) {
    if (places != nullptr) (*places)[key] = place;
  }

  void add(std::string key, const Place& place, std::string message) {
    problems.push_back({std::move(key), place.source, place.line, std::move(message)});
  }
};

template <class Owner>
struct Field {
  std::string_view key;   // "namespaces.NAME.kind"
  std::string_view name;  // inside the owner: "kind"; for Settings the whole key
  std::string_view type;
  std::string_view default_text;
  std::string_view development_text;
  std::string_view unit;
  std::string_view meaning;
  bool reloadable;
  bool secret;
  types::Bounds bounds;

  // `key` is the full key with its names, for problems. A value that is refused changes nothing.
  void (*assign)(const Field& field, Owner& owner, const Value& value, const std::string& key,
                 const Place& place, Report& report);
  std::string (*print)(const Owner& owner);  // as TOML, secrets included
  bool (*equal)(const Owner& a, const Owner& b);
  void (*copy)(Owner& to, const Owner& from);
};

// In the order of the table. Owner: Settings, NamespaceSettings, TenantSettings, KeySettings or
// ApiKeySettings.
template <class Owner>
std::span<const Field<Owner>> fields();

template <class Owner>
const Field<Owner>* find_field(std::string_view name) {
  for (const Field<Owner>& field : fields<Owner>())
    if (field.name == name) return &field;
  return nullptr;
}

template <class Owner>
std::vector<std::string_view> field_names() {
  std::vector<std::string_view> out;
  for (const Field<Owner>& field : fields<Owner>()) out.push_back(field.name);
  return out;
}

}  // namespace tidewire::config
