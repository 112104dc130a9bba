// What a reload (SIGHUP) changes: two settings compared key by key. Protocol §9.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace tidewire::config {

struct Changes {
  std::vector<std::string>
      reloadable;  // "limits.burst", "namespaces.room.kind", "tenants.acme" (came or went)
  std::vector<std::string> needs_restart;  // named in the log; the running value stays

  bool empty() const { return reloadable.empty() && needs_restart.empty(); }
};

Changes compare(const Settings& running, const Settings& fresh);

// What runs after the reload: `fresh` with the values of `running` wherever a restart is needed.
Settings apply_reload(const Settings& running, const Settings& fresh);

}  // namespace tidewire::config
