// A channel at its home shard: the one place that numbers its messages.
//
// Invariant: seq grows by exactly one per message under one epoch. A channel stays while it has
// followers, members, messages, or was used within the last ten minutes (protocol §7), so that a
// position keeps its meaning for at least that long.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hub/history.h"
#include "hub/idempotency.h"
#include "hub/presence.h"
#include "hub/types.h"

namespace tidewire::hub {

struct Channel {
  Channel(ChannelKey key_, const Namespace& ns_, std::string epoch_, std::int64_t now_ms)
      : key(std::move(key_)), ns(&ns_), epoch(std::move(epoch_)), last_used_ms(now_ms) {}

  // A shard with subscribers of this channel.
  struct Follower {
    ShardId shard = 0;
    Handle replica;  // what the shard calls the channel
    std::uint32_t subscribers = 0;
  };

  HistoryBounds bounds() const { return {.messages = ns->history_messages, .ttl_ms = ns->history_ttl_ms}; }
  std::size_t subscribers() const {
    std::size_t count = 0;
    for (const Follower& follower : followers) count += follower.subscribers;
    return count;
  }

  ChannelKey key;
  const Namespace* ns;
  std::string epoch;
  std::uint64_t seq = 0;  // the latest; 0: never a message
  std::int64_t last_used_ms;
  History history;
  std::vector<Follower> followers;
  std::unique_ptr<Presence> presence;
  std::unique_ptr<IdempotencyWindow> keys;
};

}  // namespace tidewire::hub
