// The user directory (requirement A4): asks the source who exists, for all shards, and remembers.
//
// A thread and a loop of its own, so that nothing about it can hold up a shard. Each user is asked for
// once however many wait (a reconnect storm is one question per user); questions on their way and waiting
// are bounded; a circuit breaker leaves a source alone that is away, and what is known goes on meanwhile. A
// question that fails by itself does not open it, so that no user can keep the others out.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "directory/source.h"
#include "guard/circuits.h"
#include "guard/known_users.h"
#include "net/loop.h"

namespace tidewire::directory {

struct UserDirectoryOptions {
  std::size_t under_way = 128;    // questions at the source at once
  std::size_t waiting = 100'000;  // users waited for, those under way too; past it: unavailable
  guard::CircuitOptions circuit = {};
};

class UserDirectory {
 public:
  using MakeSource = std::function<std::unique_ptr<Source>(net::Loop&)>;
  // Answers for those who asked, on the directory's thread. `absent` is told as soon as the source says
  // so; `unavailable` only where nothing is known either.
  struct Told {
    Question question;
    guard::LimitKey key;
    guard::UserState state = guard::UserState::unavailable;
    std::vector<std::uint32_t> askers;  // each once
  };
  using Tell = std::function<void(Told&&)>;
  // What went wrong, at most once a second; for the log.
  using Complain = std::function<void(std::string_view reason)>;

  // `known` and `board` must outlive it.
  UserDirectory(UserDirectoryOptions options, guard::KnownUsers& known, guard::CircuitBoard& board,
                MakeSource make_source, Tell tell, Complain complain);
  // Nothing is told any more once this has returned.
  ~UserDirectory();

  // From any thread. Asks the source even where an answer is known.
  void ask(std::uint32_t asker, guard::LimitKey key, Question question);

  struct Counts {
    std::uint64_t exists = 0, absent = 0, failed = 0;  // answers of the source
    std::uint64_t refused = 0;                         // not asked: circuit open or too many waiting
    std::uint64_t waiting = 0;                         // now
    std::int64_t latency_us = -1;                      // of the last answer
  };
  // From any thread.
  Counts counts() const;

 private:
  struct Flight {
    Question question;
    std::vector<std::uint32_t> askers;
  };
  struct KeyHash {
    std::size_t operator()(const guard::LimitKey& key) const { return key.low; }
  };

  void take(std::uint32_t asker, guard::LimitKey key, Question&& question);
  void send_more();
  void answered(guard::LimitKey key, guard::CircuitBreaker::Ticket ticket, std::int64_t sent_us,
                const Outcome& outcome);
  void finish(guard::LimitKey key, guard::UserState state);
  void give_up(guard::LimitKey key);

  UserDirectoryOptions options_;
  guard::KnownUsers& known_;
  guard::Circuit circuit_;
  Tell tell_;
  Complain complain_;
  net::Loop loop_;
  std::unique_ptr<Source> source_;
  std::unordered_map<guard::LimitKey, Flight, KeyHash> flights_;
  std::deque<guard::LimitKey> queue_;  // not sent yet
  std::size_t under_way_ = 0;
  std::int64_t complained_us_ = INT64_MIN / 2;

  std::atomic<std::uint64_t> exists_{0}, absent_{0}, failed_{0}, refused_{0}, waiting_{0};
  std::atomic<std::int64_t> latency_us_{-1};
  std::thread thread_;
};

}  // namespace tidewire::directory
