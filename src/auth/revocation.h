// Users whose tokens up to some moment are refused (protocol §8, `…/revoke`).
//
// One list per shard, kept equal by whoever spreads revocations; the store exports and imports it.
// Invariant: an entry only ever moves forward in time. Owned by one thread, as are its Verifiers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/identity.h"
#include "base/error.h"

namespace tidewire::auth {

struct Revocation {
  std::string tenant = {};
  std::string user_id = {};
  std::int64_t revoked_before_ms = 0;

  friend bool operator==(const Revocation&, const Revocation&) = default;
};

class RevocationList {
 public:
  explicit RevocationList(std::size_t max_entries = 100'000) : max_entries_(max_entries) {}

  // Tokens of the user issued in or before the second of `revoked_before_ms`, or without `iat`, are
  // revoked from now on. Also used to import. `unavailable` when the list is full: forgetting another
  // user's revocation would let that user in again.
  Result<void> add(const Revocation& revocation);

  bool revoked(const Identity& identity) const;

  // Drops entries from before `time_ms`. Right only where every token issued by then has expired.
  void forget_before(std::int64_t time_ms);

  std::vector<Revocation> entries() const;  // in no order
  std::size_t size() const { return size_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  template <class T>
  using Map = std::unordered_map<std::string, T, Hash, std::equal_to<>>;

  std::size_t max_entries_;
  std::size_t size_ = 0;
  Map<Map<std::int64_t>> tenants_;  // tenant, user, revoked_before_ms
};

}  // namespace tidewire::auth
