// A channel as a shard with subscribers sees it: who they are, and how far deliveries have come.
//
// Invariant: envelopes from the channel's home keep their order, so every message up to `seq` was
// either put into the batch, or concerns nobody here. Subscribers stand in a dense array in the order
// of connecting; a fan-out walks it without looking anything up (ARCHITECTURE.md, idea 6).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/short_list.h"
#include "hub/types.h"
#include "protocol/delivery_batch.h"

namespace tidewire::hub {

struct Subscriber {
  Handle connection;
  std::uint32_t subscription = 0;  // the session's number for it
  bool live = false;               // pushed to; false: behind, is caught up from the home
  bool ahead = false;              // it has part of what the next, merged delivery stands for
  bool presence = false;           // wants presence events
};

struct Replica {
  // Deliveries of one turn, and what is known of each.
  struct Turn {
    struct Item {
      std::uint64_t first_seq = 0;  // it stands for first_seq..seq
      std::uint64_t seq = 0;        // 0: ephemeral, or a presence event
      bool presence_only = false;   // for those who asked for presence events
      Handle skip;                  // not for this connection
    };
    protocol::DeliveryBatch batch;
    std::vector<Item> items;
    bool for_all = true;  // no item makes a difference between subscribers
  };

  Replica(const ChannelKey& key_, const Namespace& ns_, ShardId home_shard_)
      : key(key_), ns(&ns_), priority(ns_.priority), home_shard(home_shard_) {}

  ChannelKey key;
  const Namespace* ns;
  Priority priority;  // of the lane, for this replica's life: a reload must not reorder a backlog
  ShardId home_shard;
  Handle home;                        // the channel there, once it has answered
  std::uint32_t presence_events = 0;  // how many have come
  std::uint64_t seq = 0;              // deliveries have come up to here
  std::uint32_t subscriptions = 0;    // joining ones too
  std::uint32_t behind = 0;           // of them
  ShortList<Subscriber> subscribers;
  std::unique_ptr<Turn> turn;  // while there is something to deliver
};
static_assert(sizeof(Replica) <= 96, "every inbox that is followed has one");

}  // namespace tidewire::hub
