// The namespaces that the configuration names. A namespace that is not in here does not exist, so that
// a typo never opens a channel (protocol §1). Shared by all shards, read-only while they run; a
// reload changes rules in place on each shard's own copy.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hub/types.h"

namespace tidewire::hub {

class Namespaces {
 public:
  explicit Namespaces(const std::vector<Namespace>& list) { replace(list); }

  // Null when there is none of this name.
  const Namespace* find(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() || !found->second.configured ? nullptr : &found->second.rules;
  }

  template <class F>
  void for_each(F&& f) const {
    for (const auto& [name, row] : by_name_)
      if (row.configured) f(row.rules);
  }

  // One that a reload has taken away: commands that were under way still need its rules.
  const Namespace* find_retired(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &found->second.rules;
  }

  // Channels point at their namespace, so one that the new list lacks stays in memory, out of reach; and
  // so does one that comes back as another kind. True when somebody may have lost a right by it.
  bool replace(const std::vector<Namespace>& list) {
    std::map<std::string, Row, std::less<>> before = by_name_;
    for (auto& [name, row] : by_name_) row.configured = false;
    for (const Namespace& rules : list) {
      const auto known = before.find(rules.name);
      if (known == before.end() || known->second.rules.kind == rules.kind)
        by_name_[rules.name] = {rules, true};
    }
    return std::ranges::any_of(before, [&](const auto& entry) {
      const auto& [name, row] = entry;
      const Row& now = by_name_.find(name)->second;
      return row.configured && (!now.configured || now.rules.subscribe != row.rules.subscribe ||
                                (row.rules.presence && !now.rules.presence));
    });
  }

 private:
  struct Row {
    Namespace rules;
    bool configured = false;
  };
  std::map<std::string, Row, std::less<>> by_name_;
};

}  // namespace tidewire::hub
