// Everything in one run: shards, the network between them, clients, the clock, all from one seed.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "disk.h"
#include "guard/attempts.h"
#include "guard/shared_limits.h"
#include "hub/namespaces.h"
#include "journal.h"
#include "model.h"
#include "schedule.h"
#include "shard.h"

namespace tidewire::sim {

class Client;

// What differs between runs.
struct Plan {
  hub::ShardId shards = 1;
  std::size_t clients = 0;
  std::size_t budget_bytes = 0;
  std::int64_t network_us = 0;  // the longest way between shards
  std::int64_t link_us = 0;     // the longest way between client and server
  std::int64_t pause_us = 0;    // the longest a client thinks
  std::int64_t log_us = 0;      // the longest the log takes
  int log_failures = 0;         // of a thousand operations
  int slow_clients = 0;         // of a hundred
  bool rate_limits = false;
  bool deep = false;          // channels with more than a reply carries, and more than the log's cache
  bool kinds = false;         // most channels are of kinds that fold
  std::size_t restarts = 0;   // of the whole server
  bool long_silence = false;  // in the middle nobody does anything for a quarter of an hour
  std::int64_t tokens_live_ms = 0;
};

class World {
 public:
  World(std::uint64_t seed, std::size_t steps, std::size_t keep_events);
  ~World();

  // Runs everything; throws Failure where a rule is broken.
  void run();

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  bool chance(int of_hundred) { return below(100) < static_cast<std::uint64_t>(of_hundred); }
  std::int64_t up_to(std::int64_t most) {
    return most <= 0 ? 0 : static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most) + 1));
  }
  std::string random_channel();
  std::string token(int user, std::int64_t live_ms);
  std::uint64_t next_number() { return ++numbers_; }
  void send_between(hub::ShardId from, hub::ShardId to, std::vector<hub::Message>&& mail);
  // A step of a client was done; false when the busy part of the run is over.
  bool take_step();

  std::int64_t now_us() const { return schedule.now_us(); }

  Plan plan;
  Journal journal;
  Schedule schedule;
  Model model;
  hub::Namespaces namespaces;
  std::deque<guard::SharedLimits> limits;  // the last one counts
  guard::Attempts attempts;
  std::shared_ptr<const auth::KeyRing> keys;
  std::vector<std::unique_ptr<Disk>> disks;  // by shard
  std::vector<std::unique_ptr<Shard>> shards;
  std::vector<std::unique_ptr<Client>> clients;
  std::uint64_t links_opened = 0, messages_seen = 0, gaps_seen = 0, replies_seen = 0, snapshots_seen = 0;
  bool quiet = false;  // clients start nothing any more

 private:
  void open_server();
  void restart();
  void tick();
  void server_acts();
  void server_publishes(Shard& shard, const std::string& channel, const nlohmann::json& event);
  void settle(std::int64_t us) { schedule.run_until(schedule.now_us() + us); }
  void check_settled();
  void check_snapshots();
  void check_presence();
  void check_empty();

  Random random_;
  std::size_t steps_left_;
  std::set<std::size_t> restarts_at_;  // when so many steps are left
  std::vector<std::unique_ptr<Shard>> dead_;
  std::uint64_t numbers_ = 0;
  std::vector<std::vector<std::int64_t>> network_free_us_;
  std::size_t calls_asked_ = 0, calls_answered_ = 0;
};

inline constexpr std::uint64_t kHashSeed = 77;
inline constexpr std::int64_t kIdempotencyMs = 20'000;
inline constexpr std::int64_t kGraceMs = 2'000;

}  // namespace tidewire::sim
