// A channel at its home shard: the one place that numbers its messages.
//
// Invariant: seq grows by exactly one per message under one epoch, and only messages that are as safe as
// the namespace promises are counted, kept and shown. A channel stays while it has followers, members,
// or messages that nothing else keeps, and for ten minutes after its last use (protocol §7), so that a
// position keeps its meaning for at least that long.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ring.h"
#include "hub/history.h"
#include "hub/idempotency.h"
#include "hub/messages.h"
#include "hub/presence.h"
#include "hub/types.h"

namespace tidewire::hub {

// A message on its way: numbered, and not yet as safe as its namespace promises.
struct PendingEntry {
  struct Asker {
    ShardId shard = 0;
    ReplyTo reply;
  };
  Entry entry;
  std::uint64_t number = 0;  // of its append
  std::string key;           // joined with its author's scope; empty: none
  Asker asker;
  Handle skip;
  std::vector<Asker> repeats;  // the same key again, answered when this one is
};

// What a channel has besides where `durability` is `disk`: its log, and what waits for it.
struct DurableState {
  enum class State : std::uint8_t { opening, open, failed };
  struct Waiting {
    ShardId from = 0;
    Message command;
  };
  struct PendingRead {
    std::uint64_t number = 0;
    Waiting asker;
  };
  State state = State::opening;
  std::uint64_t first_seq = 1;  // the oldest that the log keeps
  std::uint64_t assigned = 0;   // the last seq given out
  std::uint64_t next_number = 1;
  Ring<PendingEntry> pending;
  std::vector<Waiting> waiting;  // commands, until it is open
  std::vector<PendingRead> reads;
  bool busy() const { return state == State::opening || !pending.empty() || !reads.empty(); }
};

struct Channel {
  Channel(ChannelKey key_, const Namespace& ns_, std::string epoch_, std::int64_t now_ms)
      : key(std::move(key_)), ns(&ns_), epoch(std::move(epoch_)), last_used_ms(now_ms) {}

  // A shard with subscribers of this channel.
  struct Follower {
    ShardId shard = 0;
    Handle replica;  // what the shard calls the channel
    std::uint32_t subscribers = 0;
  };

  // More than a `subscribed` may carry is not worth keeping in front of a log.
  static constexpr std::size_t kCacheMessages = 501;
  static constexpr std::size_t kCacheBytes = 257 * 1024;

  HistoryBounds bounds() const {
    if (!durable) return {.messages = ns->history_messages, .ttl_ms = ns->history_ttl_ms};
    return {.messages = std::min(ns->history_messages, kCacheMessages),
            .ttl_ms = ns->history_ttl_ms,
            .bytes = kCacheBytes,
            .is_cache = true};
  }
  // The oldest seq that is kept; the next one's where none is.
  std::uint64_t first_seq() const {
    if (durable) return durable->first_seq;
    return history.empty() ? seq + 1 : history.first_seq();
  }
  void trim(std::int64_t now_ms) {
    const std::uint64_t gone_before = history.trim(now_ms, bounds());
    if (durable) durable->first_seq = std::max(durable->first_seq, gone_before);
  }
  std::size_t subscribers() const {
    std::size_t count = 0;
    for (const Follower& follower : followers) count += follower.subscribers;
    return count;
  }

  ChannelKey key;
  const Namespace* ns;
  std::string epoch;
  std::uint64_t seq = 0;  // the latest that was shown; 0: never a message
  std::int64_t last_used_ms;
  History history;
  std::vector<Follower> followers;
  std::unique_ptr<DurableState> durable;  // null: the channel lives in memory
  std::unique_ptr<Presence> presence;
  std::unique_ptr<IdempotencyWindow> keys;
};

}  // namespace tidewire::hub
