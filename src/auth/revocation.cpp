#include "auth/revocation.h"

namespace tidewire::auth {

namespace {
// Seconds since 1970, rounded down on both sides of it.
std::int64_t second_of(std::int64_t time_ms) { return time_ms / 1000 - (time_ms % 1000 < 0 ? 1 : 0); }
}  // namespace

Result<void> RevocationList::add(const Revocation& revocation) {
  const auto tenant = tenants_.find(revocation.tenant);
  if (tenant != tenants_.end()) {
    const auto user = tenant->second.find(revocation.user_id);
    if (user != tenant->second.end()) {
      user->second = std::max(user->second, revocation.revoked_before_ms);
      return {};
    }
  }
  if (size_ >= max_entries_) return fail(ErrorCode::unavailable, "the revocation list is full");
  tenants_[revocation.tenant].emplace(revocation.user_id, revocation.revoked_before_ms);
  ++size_;
  return {};
}

bool RevocationList::revoked(const Identity& identity) const {
  if (size_ == 0) return false;
  const auto tenant = tenants_.find(std::string(identity.tenant.view()));
  if (tenant == tenants_.end()) return false;
  const auto user = tenant->second.find(identity.user_id);
  if (user == tenant->second.end()) return false;
  return !identity.issued_at_ms || second_of(*identity.issued_at_ms) <= second_of(user->second);
}

void RevocationList::forget_before(std::int64_t time_ms) {
  for (auto tenant = tenants_.begin(); tenant != tenants_.end();) {
    size_ -= std::erase_if(tenant->second, [&](const auto& entry) { return entry.second < time_ms; });
    tenant = tenant->second.empty() ? tenants_.erase(tenant) : std::next(tenant);
  }
}

std::vector<Revocation> RevocationList::entries() const {
  std::vector<Revocation> all;
  all.reserve(size_);
  for (const auto& [tenant, users] : tenants_)
    for (const auto& [user, revoked_before_ms] : users) all.push_back({tenant, user, revoked_before_ms});
  return all;
}

}  // namespace tidewire::auth
