#include "config/reload.h"

#include "config/schema.h"

namespace tidewire::config {

namespace {

template <class Owner>
using Named = std::map<std::string, Owner, std::less<>>;

bool keeps_kind(const TenantSettings&, const TenantSettings&) { return true; }
// Its channels are of the kind that they were opened as.
bool keeps_kind(const NamespaceSettings& running, const NamespaceSettings& fresh) {
  return running.kind == fresh.kind;
}

// TLS is turned on or off at a start only; other files of it come with a reload.
bool is_reloadable(const Field<Settings>& field, const Settings& running, const Settings& fresh) {
  return field.reloadable && (running.tls() == fresh.tls() || !field.key.starts_with("server.tls_"));
}

// Where what is new needs a restart, `added` is Changes::needs_restart.
template <class Owner>
void compare_named(const std::string& section, const Named<Owner>& running, const Named<Owner>& fresh,
                   Changes& out, std::vector<std::string>& added) {
  for (const auto& [name, before] : running) {
    const auto after = fresh.find(name);
    if (after == fresh.end()) {
      out.reloadable.push_back(section + name);
      continue;
    }
    if (!keeps_kind(before, after->second)) {
      out.needs_restart.push_back(section + name + ".kind");
      continue;
    }
    for (const Field<Owner>& field : fields<Owner>())
      if (!field.equal(before, after->second))
        (field.reloadable ? out.reloadable : out.needs_restart)
            .push_back(section + name + "." + std::string(field.name));
  }
  for (const auto& [name, after] : fresh)
    if (!running.contains(name)) added.push_back(section + name);
}

}  // namespace

Changes compare(const Settings& running, const Settings& fresh) {
  Changes out;
  for (const Field<Settings>& field : fields<Settings>())
    if (!field.equal(running, fresh))
      (is_reloadable(field, running, fresh) ? out.reloadable : out.needs_restart).emplace_back(field.key);
  compare_named("tenants.", running.tenants, fresh.tenants, out, out.needs_restart);
  compare_named("namespaces.", running.namespaces, fresh.namespaces, out, out.reloadable);
  return out;
}

Settings apply_reload(const Settings& running, const Settings& fresh) {
  Settings out = running;
  for (const Field<Settings>& field : fields<Settings>())
    if (is_reloadable(field, running, fresh)) field.copy(out, fresh);
  for (auto& [name, tenant] : out.tenants) {
    const auto found = fresh.tenants.find(name);
    if (found != fresh.tenants.end()) {
      tenant = found->second;
    } else {
      tenant = {};
      tenant.limits = fresh.limits;
    }
  }
  out.namespaces = fresh.namespaces;
  for (const auto& [name, before] : running.namespaces) {
    const auto after = out.namespaces.find(name);
    if (after == out.namespaces.end()) continue;
    // Rules are made for a kind: the whole namespace stays as it is.
    if (!keeps_kind(before, after->second)) after->second = before;
    for (const Field<NamespaceSettings>& field : fields<NamespaceSettings>())
      if (!field.reloadable) field.copy(after->second, before);
  }
  return out;
}

}  // namespace tidewire::config
