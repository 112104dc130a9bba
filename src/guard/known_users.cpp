#include "guard/known_users.h"

namespace tidewire::guard {

std::optional<UserState> KnownUsers::find(const LimitKey& user, std::int64_t now_ms) {
  return table_.with(user, [&](auto& table) -> std::optional<UserState> {
    const Entry* entry = table.find(user);
    if (entry == nullptr || entry->fresh_until_ms <= now_ms) return std::nullopt;
    return entry->state;
  });
}

UserState KnownUsers::without_directory(const LimitKey& user, std::int64_t now_ms) {
  return table_.with(user, [&](auto& table) {
    const Entry* entry = table.find(user);
    const bool existed =
        entry != nullptr && entry->state == UserState::exists && entry->known_until_ms > now_ms;
    return existed ? UserState::exists : UserState::unavailable;
  });
}

void KnownUsers::put(const LimitKey& user, UserState state, std::int64_t now_ms) {
  const bool exists = state == UserState::exists;
  const std::int64_t fresh_until_ms = now_ms + (exists ? options_.ttl_ms : options_.absent_ttl_ms);
  table_.with(user, [&](auto& table) {
    table.insert(user, now_ms) = {.fresh_until_ms = fresh_until_ms,
                                  .known_until_ms = fresh_until_ms + (exists ? options_.stale_ttl_ms : 0),
                                  .state = state};
  });
}

void KnownUsers::sweep(std::int64_t now_ms) {
  table_.with_next([&](auto& table) { table.sweep(now_ms); });
}

}  // namespace tidewire::guard
