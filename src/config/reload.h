// What a reload (SIGHUP) changes: two settings compared key by key. Protocol §9.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace tidewire::config {

struct Changes {
  std::vector<std::string>
      reloadable;  // "limits.burst", "namespaces.room.presence", "namespaces.new" (came or went)
  std::vector<std::string> needs_restart;  // named in the log; the running value stays, a new tenant waits

  bool empty() const { return reloadable.empty() && needs_restart.empty(); }
};

Changes compare(const Settings& running, const Settings& fresh);

// What runs after the reload: `fresh` with the values of `running` wherever a restart is needed. Invariant:
// the tenants are those of `running`, since the server names them by their place among them; one that
// `fresh` lacks is left without keys and hosts, so that nobody is of it any more.
Settings apply_reload(const Settings& running, const Settings& fresh);

}  // namespace tidewire::config
