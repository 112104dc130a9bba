#include "config/settings.h"

#include "base/check.h"
#include "config/schema.h"

namespace tidewire::config {

Settings default_settings(bool development) {
  Settings out;
  out.development = development;
  std::vector<ConfigProblem> problems;
  Report report{problems};
  for (const Field<Settings>& field : fields<Settings>()) {
    const std::string text(development ? field.development_text : field.default_text);
    field.assign(field, out, Value{Value::Text{text}}, std::string(field.key), {"default", 0}, report);
  }
  TIDEWIRE_CHECK(problems.empty());  // the table's own defaults are of their types
  out.namespaces = builtin_namespaces();
  return out;
}

std::vector<ApiKeySettings> all_api_keys(const Settings& settings) {
  const std::vector<ApiScope> all{ApiScope::publish, ApiScope::read, ApiScope::admin};
  std::vector<ApiKeySettings> out = settings.api.keys;
  if (!settings.api.key.empty()) out.push_back({settings.api.key, all, "default"});
  for (const auto& [name, tenant] : settings.tenants)
    if (!tenant.api_key.empty()) out.push_back({tenant.api_key, all, name});
  return out;
}

}  // namespace tidewire::config
