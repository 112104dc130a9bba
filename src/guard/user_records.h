// The records of all users: what part of the announced limit is in force for each (protocol §6,
// `limits.adaptive`).
//
// A user's connections lie on several shards, so the table is shared: striped, short locks, any thread.
// A connection asks for its factor about once a second and keeps it (AdaptiveLimit), so a message costs
// a comparison. Memory: a record that has faded goes; past `max_entries` the ones nearest to that go,
// at 24 bytes a slot and at most 64 bytes a user, so a million users take 64 MiB at most.
#pragma once

#include <cstdint>
#include <memory>

#include "guard/limit_key.h"
#include "guard/user_record.h"

namespace tidewire::guard {

class UserRecords {
 public:
  static constexpr std::size_t kMaxEntries = std::size_t{1} << 20;

  explicit UserRecords(std::size_t max_entries = kMaxEntries);
  ~UserRecords();
  UserRecords(const UserRecords&) = delete;
  UserRecords& operator=(const UserRecords&) = delete;

  // Each answers with the factor from then on. An empty key has no record: 1.
  LimitFactor good(const LimitKey& user, std::int64_t now_ms);
  LimitFactor bad(const LimitKey& user, Offence offence, std::int64_t now_ms);
  LimitFactor factor(const LimitKey& user, std::int64_t now_ms);

  // Soon one of these is called.
  void prefetch(const LimitKey& user) const;

  std::size_t entries();
  // As SharedLimits::sweep().
  void sweep(std::int64_t now_ms);

 private:
  class Stripes;
  std::unique_ptr<Stripes> stripes_;
};

// What a connection knows of its user's record. Owned by the connection's shard.
class AdaptiveLimit {
 public:
  static constexpr std::int64_t kRefresh_ms = 1'000;

  // The factor for a counted request. Without `adaptive`, and for an anonymous connection, 1.
  LimitFactor factor(UserRecords& records, const LimitKey& user, bool adaptive, std::int64_t now_ms) {
    if (!adaptive || !user) return {};
    if (is_due(now_ms)) {
      // Most connections ask for a few things at once and then listen: no record is made for those.
      factor_ = looked_ && clean_ ? records.good(user, now_ms) : records.factor(user, now_ms);
      note_look(now_ms);
      clean_ = true;
    }
    return factor_;
  }
  // Soon factor() is called.
  void prefetch(const UserRecords& records, const LimitKey& user, std::int64_t now_ms) const {
    if (is_due(now_ms)) records.prefetch(user);
  }
  // Something went wrong: it acts at once. Also without `adaptive`, so that switching it on finds it.
  void bad(UserRecords& records, const LimitKey& user, Offence offence, std::int64_t now_ms) {
    if (!user) return;
    factor_ = records.bad(user, offence, now_ms);
    note_look(now_ms);
    clean_ = false;
  }

  // The record was changed elsewhere: the next request asks for it, and what was clean until now does not
  // count.
  void look_again() { looked_ = false; }

 private:
  bool is_due(std::int64_t now_ms) const {
    return !looked_ || static_cast<std::uint32_t>(now_ms) - look_ms_ >= kRefresh_ms;
  }
  void note_look(std::int64_t now_ms) {
    look_ms_ = static_cast<std::uint32_t>(now_ms);
    looked_ = true;
  }

  std::uint32_t look_ms_ = 0;  // the low half of when the record was last asked
  LimitFactor factor_;
  bool looked_ = false;
  bool clean_ = true;
};
static_assert(sizeof(AdaptiveLimit) == 8);

}  // namespace tidewire::guard
