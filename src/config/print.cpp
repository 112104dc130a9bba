#include "config/print.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/characters.h"
#include "base/json_text.h"
#include "config/schema.h"
#include "telemetry/redact.h"

namespace tidewire::config {

namespace {

// A name as a TOML key: bare where it can be.
std::string toml_key(std::string_view name) {
  const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return is_alphanumeric(c) || c == '_' || c == '-';
  });
  return bare ? std::string(name) : json_string(name);
}

std::string bound(std::string_view type, double value) {
  if (type == "duration") return types::duration::print(static_cast<std::int64_t>(value));
  return fmt::format("{}", value);
}

template <class Owner>
std::string comment_of(const Field<Owner>& field) {
  std::string notes;
  const auto note = [&](const std::string& text) { notes += (notes.empty() ? "" : "; ") + text; };
  if (!field.unit.empty()) note(fmt::format("unit: {}", field.unit));
  if (field.bounds.max != 0)
    note(fmt::format("{} to {}", bound(field.type, field.bounds.min), bound(field.type, field.bounds.max)));
  if (field.development_text != field.default_text)
    note(fmt::format("under --dev: {}", field.development_text));
  note(field.reloadable ? "reloaded on SIGHUP" : "needs a restart");
  return fmt::format("# {}\n# ({})\n", field.meaning, notes);
}

// What `config print` shows of a value; `field` decides whether it is a secret.
template <class Owner>
std::string masked(const Field<Owner>& field, const Owner& owner) {
  const std::string text = field.print(owner);
  return field.secret && text != "\"\"" ? "\"***\"" : log::redact(text);
}

// Arrays of tables hold secrets in their elements.
template <class Element>
std::vector<Element> without_secrets(std::vector<Element> elements) {
  for (Element& element : elements)
    for (const Field<Element>& field : fields<Element>())
      if (field.secret && field.print(element) != "\"\"") {
        std::vector<ConfigProblem> ignored;
        Report report{ignored};
        field.assign(field, element, Value{Value::Text{"***"}}, "", {}, report);
      }
  return elements;
}

template <class Owner>
void print_values(const Owner& owner, const std::string& prefix, const Loaded& loaded,
                  const std::string& key_prefix, std::string& out) {
  for (const Field<Owner>& field : fields<Owner>()) {
    const auto origin = loaded.origins.find(key_prefix + std::string(field.name));
    out += fmt::format("{}{} = {}", prefix, field.name, masked(field, owner));
    if (origin != loaded.origins.end()) out += "  # " + origin->second;
    out += '\n';
  }
}

// As the table spells it: "60s" says more about a setting in seconds than "1m".
template <class Owner>
std::string default_of(const Field<Owner>& field, const Owner& defaults) {
  return field.type == "duration" && !field.default_text.empty() ? json_string(field.default_text)
                                                                 : field.print(defaults);
}

// The keys of a table that exists only where an operator makes one.
template <class Owner>
void print_commented(std::string_view heading, Owner defaults, std::string& out) {
  std::vector<ConfigProblem> ignored;
  Report report{ignored};
  out += fmt::format("\n# --- {} ---\n\n", heading);
  for (const Field<Owner>& field : fields<Owner>()) {
    if (!field.default_text.empty())
      field.assign(field, defaults, Value{Value::Text{std::string(field.default_text)}}, "", {}, report);
    out += comment_of(field) + fmt::format("# {} = {}\n\n", field.key, default_of(field, defaults));
  }
}

}  // namespace

std::string print_defaults() {
  const Settings settings = default_settings();
  std::string out =
      "# Every setting of Tidewire with its default. An environment variable is the key in capitals with\n"
      "# underscores behind TIDEWIRE_, so server.listen is TIDEWIRE_SERVER_LISTEN; lists are "
      "comma-separated.\n"
      "# It wins over the file, and a flag wins over both.\n\n";
  for (const Field<Settings>& field : fields<Settings>())
    out += comment_of(field) + fmt::format("{} = {}\n\n", field.key, default_of(field, settings));
  print_commented("a static key: [[auth.keys]], [[tenants.NAME.keys]]", KeySettings{}, out);
  print_commented("an API key: [[api.keys]]", ApiKeySettings{}, out);
  TenantSettings tenant;
  tenant.limits = settings.limits;
  print_commented("a tenant: [tenants.NAME]", tenant, out);
  print_commented("a namespace: [namespaces.NAME]; a new one begins as the built-in of its kind",
                  NamespaceSettings{}, out);
  out += "\n# --- the built-in namespaces ---\n\n";
  const Loaded none;
  for (const auto& [name, space] : settings.namespaces) {
    print_values(space, "namespaces." + toml_key(name) + ".", none, "", out);
    out += '\n';
  }
  return out;
}

std::string print_effective(const Loaded& loaded) {
  Settings settings = loaded.settings;
  settings.auth.keys = without_secrets(settings.auth.keys);
  settings.api.keys = without_secrets(settings.api.keys);
  std::string out;
  print_values(settings, "", loaded, "", out);
  for (auto& [name, tenant] : settings.tenants) {
    out += '\n';
    tenant.keys = without_secrets(tenant.keys);
    print_values(tenant, "tenants." + toml_key(name) + ".", loaded, "tenants." + name + ".", out);
  }
  for (const auto& [name, space] : settings.namespaces) {
    out += '\n';
    print_values(space, "namespaces." + toml_key(name) + ".", loaded, "namespaces." + name + ".", out);
  }
  return out;
}

}  // namespace tidewire::config
