#include "config/collect.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace tidewire::config {

namespace {

constexpr std::string_view kPrefix = "TIDEWIRE_";

const Value::Table* table_of(const Value& value) { return value.as<Value::Table>(); }

// "auth.hs256_secret" -> "AUTH_HS256_SECRET"
std::string variable_form(std::string_view key) {
  std::string out(key);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z')
      c = static_cast<char>(c - 'a' + 'A');
    else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
      c = '_';
  }
  return out;
}

std::vector<std::string_view> section_names() {
  std::vector<std::string_view> out{"namespaces", "tenants"};
  for (const Field<Settings>& field : fields<Settings>()) {
    const std::string_view section = field.key.substr(0, field.key.find('.'));
    if (std::find(out.begin(), out.end(), section) == out.end()) out.push_back(section);
  }
  return out;
}

// Fields of one owner out of a table. A table inside it (tenants.NAME.limits) is a prefix of names.
template <class Owner>
void collect_table(const Value::Table& table, const std::string& name_prefix, const std::string& key_prefix,
                   const std::string& source, std::vector<Assignment>& out, Report& problems) {
  for (const auto& [entry, value] : table) {
    const std::string name = name_prefix + entry;
    const Place place{source, value.line};
    if (find_field<Owner>(name)) {
      out.push_back({name, value, place, fmt::format("{}:{}", source, value.line)});
      continue;
    }
    const std::vector<std::string_view> names = field_names<Owner>();
    const bool is_section = std::any_of(
        names.begin(), names.end(), [&](std::string_view known) { return known.starts_with(name + "."); });
    if (!is_section)
      problems.add(key_prefix + name, place, "is not a setting" + suggestion(name, names));
    else if (const auto* inner = table_of(value))
      collect_table<Owner>(*inner, name + ".", key_prefix, source, out, problems);
    else
      problems.add(key_prefix + name, place, "must be a table");
  }
}

template <class Owner>
void collect_named(const std::string& section, const Value& value, const std::string& source,
                   std::map<std::string, std::vector<Assignment>>& out, Places& places, Report& problems) {
  const auto* names = table_of(value);
  if (!names) return problems.add(section, {source, value.line}, "must be a table");
  for (const auto& [name, entry] : *names) {
    const std::string key = section + "." + name;
    places[key] = {source, entry.line};
    if (const auto* table = table_of(entry))
      collect_table<Owner>(*table, "", key + ".", source, out[name], problems);
    else
      problems.add(key, {source, entry.line}, "must be a table");
  }
}

// The names that a variable's middle part may stand for: namespaces.my-room is NAMESPACES_MY_ROOM.
std::vector<std::string> names_behind(std::string_view part, const std::set<std::string>& known) {
  std::vector<std::string> out;
  for (const std::string& name : known)
    if (variable_form(name) == part) out.push_back(name);
  if (out.empty()) out.push_back(lower_case(part));
  return out;
}

// Whether the variable belongs to the section; then it is collected, or a problem.
template <class Owner>
bool collect_named_variable(const std::string& section, std::string_view rest, const std::string& variable,
                            const std::string& text, const std::set<std::string>& known,
                            std::map<std::string, std::vector<Assignment>>& out, Places& places,
                            Report& problems) {
  const std::string prefix = variable_form(section) + "_";
  if (!rest.starts_with(prefix)) return false;
  rest.remove_prefix(prefix.size());
  for (const Field<Owner>& field : fields<Owner>()) {
    const std::string suffix = "_" + variable_form(field.name);
    if (!rest.ends_with(suffix) || rest.size() == suffix.size()) continue;
    const Place place{"environment variable " + variable, 0};
    const auto names = names_behind(rest.substr(0, rest.size() - suffix.size()), known);
    if (names.size() > 1)
      problems.add(fmt::format("{}.NAME.{}", section, field.name), place,
                   fmt::format("may mean \"{}\" or \"{}\"; set it in the file", names[0], names[1]));
    else
      out[names[0]].push_back({std::string(field.name), Value{Value::Text{text}}, place, variable});
    places.try_emplace(section + "." + names[0], place);
    return true;
  }
  return false;
}

template <class Map>
void add_keys(const Map& map, std::set<std::string>& out) {
  for (const auto& [name, ignored] : map) out.insert(name);
}

}  // namespace

void collect_file(const Value::Table& file, const std::string& source, Collected& out, Report& problems) {
  const std::vector<std::string_view> sections = section_names();
  for (const auto& [section, value] : file) {
    const Place place{source, value.line};
    if (section == "namespaces") {
      collect_named<NamespaceSettings>(section, value, source, out.namespaces, out.places, problems);
    } else if (section == "tenants") {
      collect_named<TenantSettings>(section, value, source, out.tenants, out.places, problems);
    } else if (std::find(sections.begin(), sections.end(), section) == sections.end()) {
      std::string hint = suggestion(section, sections);
      if (hint.empty()) hint = suggestion(section, field_names<Settings>());
      problems.add(section, place, "is not a setting" + hint);
    } else if (const auto* table = table_of(value)) {
      collect_table<Settings>(*table, section + ".", "", source, out.settings, problems);
    } else {
      problems.add(section, place, "must be a table");
    }
  }
}

void collect_environment(const LoadInput& input, Collected& out, Report& problems, Report& warnings) {
  std::set<std::string> namespaces;
  std::set<std::string> tenants;
  add_keys(builtin_namespaces(), namespaces);
  add_keys(out.namespaces, namespaces);
  add_keys(out.tenants, tenants);
  std::vector<std::string> forms;
  for (const Field<Settings>& field : fields<Settings>())
    forms.push_back(std::string(kPrefix) + variable_form(field.key));

  // In the order of their names, so that the result does not depend on the environment's order.
  auto variables = input.environment;
  std::sort(variables.begin(), variables.end());
  for (const auto& [variable, text] : variables) {
    if (!variable.starts_with(kPrefix)) continue;
    const std::string_view rest = std::string_view(variable).substr(kPrefix.size());
    const auto form = std::find(forms.begin(), forms.end(), variable);
    if (form != forms.end()) {
      const Field<Settings>& field = fields<Settings>()[static_cast<std::size_t>(form - forms.begin())];
      out.settings.push_back({std::string(field.key),
                              Value{Value::Text{text}},
                              {"environment variable " + variable, 0},
                              variable});
    } else if (!collect_named_variable<NamespaceSettings>("namespaces", rest, variable, text, namespaces,
                                                          out.namespaces, out.places, problems) &&
               !collect_named_variable<TenantSettings>("tenants", rest, variable, text, tenants, out.tenants,
                                                       out.places, problems)) {
      const std::vector<std::string_view> known(forms.begin(), forms.end());
      warnings.add("", {"environment variable " + variable, 0},
                   "names no setting" + suggestion(variable, known));
    }
  }
}

void collect_flags(const LoadInput& input, Collected& out, Report& problems) {
  for (const Flag& flag : input.flags) {
    const Place place{"flag " + flag.name, 0};
    if (find_field<Settings>(flag.key))
      out.settings.push_back({flag.key, Value{Value::Text{flag.value}}, place, flag.name});
    else
      problems.add(flag.key, place, "is not a setting");
  }
}

}  // namespace tidewire::config
