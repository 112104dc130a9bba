// Who exists, as far as the user directory has said (requirement A4): what it answered lately, shared by
// all shards.
//
// Both answers are kept, each for its time; a user who existed counts a while longer when the directory
// can't be asked. Bounded: past `entries` the answer nearest to its end goes, and is asked for again.
// Locks are short and taken once per judged token. Any thread may call.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "guard/bounded_table.h"
#include "guard/limit_key.h"
#include "guard/striped.h"

namespace tidewire::guard {

enum class UserState : std::uint8_t {
  exists,
  absent,
  unavailable  // the directory can't be asked, and nothing is known
};

struct KnownUsersOptions {
  std::int64_t ttl_ms = 60'000;         // an existing user
  std::int64_t absent_ttl_ms = 5'000;   // one who does not exist
  std::int64_t stale_ttl_ms = 600'000;  // past ttl_ms, while the directory is away
  std::size_t entries = 200'000;
};

class KnownUsers {
 public:
  explicit KnownUsers(const KnownUsersOptions& options) : options_(options), table_(options.entries) {}

  // exists or absent; nothing where the directory must be asked.
  std::optional<UserState> find(const LimitKey& user, std::int64_t now_ms);
  // What counts when the directory was asked in vain: exists or unavailable. An old `absent` does not,
  // for the user may have been made since.
  UserState without_directory(const LimitKey& user, std::int64_t now_ms);
  // `state` is what the directory has said: exists or absent.
  void put(const LimitKey& user, UserState state, std::int64_t now_ms);

  // When the directory will be asked again at the earliest, while it is left alone; 0: it is not. Said by
  // whoever asks it.
  void set_away_until(std::int64_t at_ms) { away_until_ms_.store(at_ms, std::memory_order_relaxed); }
  std::int64_t away_until_ms() const { return away_until_ms_.load(std::memory_order_relaxed); }

  // Forgets what is over in some of the table; call it every second or so.
  void sweep(std::int64_t now_ms);
  std::size_t size() { return table_.size(); }

 private:
  struct Entry {
    std::int64_t fresh_until_ms = 0;
    std::int64_t known_until_ms = 0;
    UserState state = UserState::absent;
    std::int64_t idle_at_ms() const { return known_until_ms; }
  };

  KnownUsersOptions options_;
  Striped<BoundedTable<Entry>> table_;
  std::atomic<std::int64_t> away_until_ms_{0};
};

}  // namespace tidewire::guard
