#include "config/schema.h"

#include <fmt/format.h>

#include <type_traits>

#include "config/toml_text.h"

namespace tidewire::config {

namespace {

// An array of tables, such as [[auth.keys]].
template <class Element>
struct Tables {
  using type = std::vector<Element>;

  static void read(type& out, const Value& value, const std::string& key, const Place& place,
                   Report& report) {
    if (const auto* text = value.as<Value::Text>()) return read_text(out, text->text, key, place, report);
    const auto* items = value.as<Value::Array>();
    if (!items) return report.add(key, place, "must be an array of tables");
    type elements;
    for (std::size_t i = 0; i < items->size(); ++i) {
      const std::string item_key = fmt::format("{}[{}]", key, i);
      const Place item_place{place.source, (*items)[i].line != 0 ? (*items)[i].line : place.line};
      report.stands(item_key, item_place);
      if (const auto* table = (*items)[i].template as<Value::Table>())
        elements.push_back(read_element(*table, item_key, item_place, report));
      else
        report.add(item_key, item_place, "must be a table");
    }
    if (elements.size() == items->size()) out = std::move(elements);
  }

  static std::string print(const type& value) {
    std::string out = "[";
    for (const Element& element : value) {
      out += out.size() > 1 ? ", {" : "{";
      std::string_view separator;
      for (const Field<Element>& field : fields<Element>()) {
        out += fmt::format("{}{} = {}", separator, field.name, field.print(element));
        separator = ", ";
      }
      out += "}";
    }
    return out + "]";
  }

 private:
  static Element read_element(const Value::Table& table, const std::string& key, const Place& place,
                              Report& report) {
    Element element{};
    for (const Field<Element>& field : fields<Element>())
      if (!field.default_text.empty())
        field.assign(field, element, Value{Value::Text{std::string(field.default_text)}}, key, place, report);
    for (const auto& [name, value] : table) {
      const Place value_place{place.source, value.line != 0 ? value.line : place.line};
      report.stands(key + "." + name, value_place);
      if (const auto* field = find_field<Element>(name))
        field->assign(*field, element, value, key + "." + name, value_place, report);
      else
        report.add(key + "." + name, value_place,
                   "is not a setting" + suggestion(name, field_names<Element>()));
    }
    return element;
  }

  // In the environment such an array is written as in TOML: [{key = "tw_...", scopes = ["read"]}]
  static void read_text(type& out, const std::string& text, const std::string& key, const Place& place,
                        Report& report) {
    const auto table = parse_toml("value = " + (text.empty() ? "[]" : text), place.source);
    if (!table || table->size() != 1)
      return report.add(key, place, "must be an array of inline tables, as in TOML");
    Value value = table->front().value;
    forget_lines(value);
    read(out, value, key, place, report);
  }

  static void forget_lines(Value& value) {
    value.line = 0;
    if (auto* items = std::get_if<Value::Array>(&value.data))
      for (Value& item : *items) forget_lines(item);
    if (auto* entries = std::get_if<Value::Table>(&value.data))
      for (Value::Entry& entry : *entries) forget_lines(entry.value);
  }
};

}  // namespace

namespace types {
using keys = Tables<KeySettings>;
using api_keys = Tables<ApiKeySettings>;
}  // namespace types

namespace {

template <class Type, class Owner>
void assign_member(typename Type::type& member, const Field<Owner>& field, const Value& value,
                   const std::string& key, const Place& place, Report& report) {
  if constexpr (requires { Type::read(value, field.bounds); }) {
    auto read = Type::read(value, field.bounds);
    if (read)
      member = *std::move(read);
    else
      report.add(key, place, std::move(read.error()));
  } else {
    Type::read(member, value, key, place, report);
  }
}

struct Schema {
  std::vector<Field<Settings>> settings;
  std::vector<Field<NamespaceSettings>> namespaces;
  std::vector<Field<TenantSettings>> tenants;
  std::vector<Field<KeySettings>> keys;
  std::vector<Field<ApiKeySettings>> api_keys;

  void add(Field<Settings> field) { settings.push_back(field); }
  void add(Field<NamespaceSettings> field) { namespaces.push_back(field); }
  void add(Field<TenantSettings> field) { tenants.push_back(field); }
  void add(Field<KeySettings> field) { keys.push_back(field); }
  void add(Field<ApiKeySettings> field) { api_keys.push_back(field); }

  Schema() {
#define TIDEWIRE_SETTING(key, type_, default_, unit, meaning, reload, owner, member, name, development,     \
                         secret, min, max)                                                                  \
  add(Field<owner>{key,                                                                                     \
                   name,                                                                                    \
                   #type_,                                                                                  \
                   default_,                                                                                \
                   development,                                                                             \
                   unit,                                                                                    \
                   meaning,                                                                                 \
                   reload,                                                                                  \
                   secret,                                                                                  \
                   {min, max},                                                                              \
                   [](const Field<owner>& field, owner& o, const Value& value, const std::string& full_key, \
                      const Place& place, Report& report) {                                                 \
                     assign_member<types::type_>(o.member, field, value, full_key, place, report);          \
                   },                                                                                       \
                   [](const owner& o) { return types::type_::print(o.member); },                            \
                   [](const owner& a, const owner& b) { return a.member == b.member; },                     \
                   [](owner& to, const owner& from) { to.member = from.member; }});
#include "spec/settings.inc"
#undef TIDEWIRE_SETTING
  }
};

const Schema& schema() {
  static const Schema table;
  return table;
}

}  // namespace

template <>
std::span<const Field<Settings>> fields<Settings>() {
  return schema().settings;
}
template <>
std::span<const Field<NamespaceSettings>> fields<NamespaceSettings>() {
  return schema().namespaces;
}
template <>
std::span<const Field<TenantSettings>> fields<TenantSettings>() {
  return schema().tenants;
}
template <>
std::span<const Field<KeySettings>> fields<KeySettings>() {
  return schema().keys;
}
template <>
std::span<const Field<ApiKeySettings>> fields<ApiKeySettings>() {
  return schema().api_keys;
}

}  // namespace tidewire::config
