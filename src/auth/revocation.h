// Users whose tokens up to some moment are refused (protocol §8, `…/revoke`).
//
// One list per shard, kept equal by whoever spreads revocations; the log keeps them over a restart.
// Invariant: an entry only ever moves forward in time, and none is forgotten, since a token may live for
// ever. Owned by one thread, as are its Verifiers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "auth/identity.h"

namespace tidewire::auth {

struct Revocation {
  std::string tenant = {};
  std::string user_id = {};
  std::int64_t revoked_before_ms = 0;
};

class RevocationList {
 public:
  static constexpr std::size_t kEntriesMax = 1'000'000;  // of about 110 bytes
  explicit RevocationList(std::size_t max_entries = kEntriesMax) : max_entries_(max_entries) {}

  // To be asked before a revocation is promised; what was promised is always added.
  bool has_room_for(std::string_view tenant, std::string_view user_id) const;

  // Tokens of the user issued in or before the second of `revoked_before_ms`, or without `iat`, are
  // revoked from now on.
  void add(const Revocation& revocation);

  bool revoked(const Identity& identity) const;

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
