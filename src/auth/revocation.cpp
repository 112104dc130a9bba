#include "auth/revocation.h"

namespace tidewire::auth {

namespace {
// Seconds since 1970, rounded down on both sides of it.
std::int64_t second_of(std::int64_t time_ms) { return time_ms / 1000 - (time_ms % 1000 < 0 ? 1 : 0); }
}  // namespace

bool RevocationList::has_room_for(std::string_view tenant, std::string_view user_id) const {
  if (size_ < max_entries_) return true;
  const auto users = tenants_.find(tenant);
  return users != tenants_.end() && users->second.contains(user_id);
}

void RevocationList::add(const Revocation& revocation) {
  const auto [user, added] =
      tenants_[revocation.tenant].try_emplace(revocation.user_id, revocation.revoked_before_ms);
  user->second = std::max(user->second, revocation.revoked_before_ms);
  if (added) ++size_;
}

bool RevocationList::revoked(const Identity& identity) const {
  if (size_ == 0) return false;
  const auto tenant = tenants_.find(std::string(identity.tenant.view()));
  if (tenant == tenants_.end()) return false;
  const auto user = tenant->second.find(identity.user_id);
  if (user == tenant->second.end()) return false;
  return !identity.issued_at_ms || second_of(*identity.issued_at_ms) <= second_of(user->second);
}

}  // namespace tidewire::auth
