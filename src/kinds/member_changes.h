// A session's joins and leaves behind a message: they tell who was a member before them.
//
// Invariant: each changed something, so that a user's joins and leaves take turns, and whoever begins with a
// leave was a member. Owned by the channel's home shard.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "base/check.h"

namespace tidewire::kinds {

class MemberChanges {
 public:
  bool empty() const { return counts_.empty(); }
  // Who were members before all of this, and first of all left.
  const std::set<std::string>& leavers() const { return leavers_; }

  void add(const std::string& user_id, bool leaves) {
    if (++counts_[user_id] == 1 && leaves) leavers_.insert(user_id);
  }
  // The oldest one is over, which is this user's.
  void pop(const std::string& user_id) {
    const auto count = counts_.find(user_id);
    TIDEWIRE_CHECK(count != counts_.end());
    const bool left = leavers_.erase(user_id) > 0;
    if (--count->second == 0)
      counts_.erase(count);
    else if (!left)
      leavers_.insert(user_id);
  }

 private:
  std::map<std::string, std::uint32_t> counts_;
  std::set<std::string> leavers_;
};

}  // namespace tidewire::kinds
