#include "config/load.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "base/development.h"
#include "config/checks.h"
#include "config/collect.h"
#include "config/namespaces.h"
#include "config/schema.h"
#include "config/toml_text.h"

namespace tidewire::config {

namespace {

constexpr std::string_view kDevelopmentApiKey = "tw_dev";
constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;

std::expected<std::string, std::string> read_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error))
    return std::unexpected("is not a file that can be read");
  std::ifstream in(path, std::ios::binary);
  std::string text(kMaxFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.fail() && !in.eof())) return std::unexpected("cannot be read");
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

// Puts collected values into their structs, and remembers where each came from.
class Assigner {
 public:
  Assigner(Loaded& loaded, Report& report) : loaded_(loaded), report_(report) {}

  template <class Owner>
  void assign(Owner& owner, const std::vector<Assignment>& assignments, const std::string& key_prefix) {
    for (const Assignment& assignment : assignments) {
      const Field<Owner>& field = *find_field<Owner>(assignment.name);
      const std::string key = key_prefix + assignment.name;
      forget_elements(key);
      report_.stands(key, assignment.place);
      field.assign(field, owner, assignment.value, key, assignment.place, report_);
      loaded_.origins[key] = assignment.origin;
    }
  }

 private:
  // Those of an array that another one takes the place of.
  void forget_elements(const std::string& key) {
    std::erase_if(loaded_.places, [&](const auto& entry) { return entry.first.starts_with(key + "["); });
  }

  Loaded& loaded_;
  Report& report_;
};

// The kind that a new namespace will have; a wrong word is reported when it is assigned.
Kind kind_among(const std::vector<Assignment>& assignments) {
  Kind kind = Kind::stream;
  for (const Assignment& assignment : assignments)
    if (assignment.name == "kind")
      if (const auto read = types::kind::read(assignment.value, {})) kind = *read;
  return kind;
}

// Supabase Auth publishes its keys below its issuer, so that the issuer alone is enough.
void fill_supabase_keys(Settings& settings) {
  const auto fill = [](auto& keys) {
    if (!keys.issuer.empty() && keys.hs256_secret.empty() && keys.jwks_url.empty() && keys.keys.empty())
      keys.jwks_url = keys.issuer + (keys.issuer.ends_with('/') ? "" : "/") + ".well-known/jwks.json";
  };
  fill(settings.auth);
  for (auto& [name, tenant] : settings.tenants) fill(tenant);
}

void fill_development_keys(Settings& settings) {
  AuthSettings& auth = settings.auth;
  if (auth.hs256_secret.empty() && auth.jwks_url.empty() && auth.keys.empty())
    auth.hs256_secret = kDevelopmentSecret;
  if (settings.api.key.empty() && settings.api.keys.empty()) settings.api.key = kDevelopmentApiKey;
}

}  // namespace

std::expected<Loaded, std::vector<ConfigProblem>> load(const LoadInput& input) {
  Loaded loaded;
  std::vector<ConfigProblem> problems;
  Report report{problems, &loaded.places};
  Report warnings{loaded.warnings};
  Settings& settings = loaded.settings;
  settings = default_settings(input.dev);

  Collected collected;
  if (input.file || input.text) {
    const std::string source = input.file.value_or("configuration");
    const auto text = input.text ? *input.text : read_file(source);
    if (!text) {
      report.add("", {source, 0}, text.error());
    } else if (const auto table = parse_toml(*text, source)) {
      collect_file(*table, source, collected, report);
    } else {
      problems.push_back(table.error());
    }
  }
  collect_environment(input, collected, report, warnings);
  collect_flags(input, collected, report);

  loaded.places = std::move(collected.places);
  Assigner assigner(loaded, report);
  assigner.assign(settings, collected.settings, "");
  for (const auto& [name, assignments] : collected.namespaces) {
    auto& space =
        settings.namespaces.try_emplace(name, namespace_defaults(kind_among(assignments))).first->second;
    assigner.assign(space, assignments, "namespaces." + name + ".");
  }
  for (const auto& [name, assignments] : collected.tenants) {
    TenantSettings& tenant = settings.tenants[name];
    tenant.limits = settings.limits;
    assigner.assign(tenant, assignments, "tenants." + name + ".");
    for (std::string& host : tenant.hosts) host = lower_case(host);
  }

  if (settings.auth.preset == AuthPreset::supabase) fill_supabase_keys(settings);
  if (input.dev) fill_development_keys(settings);
  check(settings, loaded.places, report, warnings);
  if (!problems.empty()) {
    // By place in the file, so that an operator can work through them from the top.
    std::sort(problems.begin(), problems.end(), [](const ConfigProblem& a, const ConfigProblem& b) {
      return std::tie(a.line, a.key, a.message) < std::tie(b.line, b.key, b.message);
    });
    return std::unexpected(std::move(problems));
  }
  return loaded;
}

std::vector<std::pair<std::string, std::string>> read_environment() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != text.npos && text.starts_with("TIDEWIRE_"))
      out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

}  // namespace tidewire::config
