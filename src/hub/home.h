// The channels whose home is this shard: numbering, history, presence, and answers to every shard.
//
// Takes commands and gives back envelopes for shards; no socket, clock or random source inside.
// Owned by the shard's thread. What a command causes is emitted in the order in which subscribers must
// see it, and envelopes to one shard keep that order: a subscription that is told "you have everything
// up to n" gets n+1 as its next delivery.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "base/slab.h"
#include "base/time.h"
#include "hub/channel.h"
#include "hub/messages.h"

namespace tidewire::hub {

struct HomeOptions {
  std::int64_t idempotency_window_ms = 300'000;
  std::int64_t presence_grace_ms = 5'000;
  std::uint64_t hash_seed = 0;
};

// The namespaces that exist; addresses stay valid for the life of the table and across reload().
class Namespaces;

class Home {
 public:
  // `post` sends to a shard, this one included.
  using Post = std::function<void(ShardId, Message&&)>;
  Home(const HomeOptions& options, const Namespaces& namespaces, std::uint64_t seed, Post post);

  void handle(ShardId from, SubscribeCommand&& command, const Time& now);
  void handle(ShardId from, UnsubscribeCommand&& command, const Time& now);
  void handle(ShardId from, PublishCommand&& command, const Time& now);
  void handle(ShardId from, HistoryCommand&& command, const Time& now);
  void handle(ShardId from, PresenceCommand&& command, const Time& now);
  void handle(ShardId from, DepartCommand&& command, const Time& now);
  void handle(ShardId from, CatchUpCommand&& command, const Time& now);
  void handle(ShardId from, ChannelInfoCommand&& command, const Time& now);

  // Ends grace times that are over and sweeps a part of the channels for what has expired. Call it
  // several times a second; a call looks at a bounded number of channels.
  void tick(const Time& now);

  // This shard's channels of a tenant with the prefix, after `after` in byte order, at most `limit`.
  std::vector<ChannelInfo> list(const ListChannels& query) const;
  std::size_t size() const { return channels_.size(); }

  // Protocol §5: more than this arrives after `subscribed`, in pieces of this size.
  static constexpr std::size_t kReplayMessages = 500;
  static constexpr std::size_t kReplayBytes = 256 * 1024;
  static constexpr std::int64_t kIdleMs = 10 * 60 * 1000;

 private:
  struct Grace {
    std::int64_t at_ms;
    Handle channel;
    std::string scope;
    bool operator>(const Grace& other) const { return at_ms > other.at_ms; }
  };

  Channel* find(const ChannelKey& key);
  Channel& open(const ChannelKey& key, const Time& now, Handle* handle = nullptr);
  Channel::Follower& follower_of(Channel& channel, ShardId shard, Handle replica);
  void deliver(const Channel& channel, std::uint64_t seq, const SharedBytes& body, Handle skip,
               ShardId skip_shard);
  void tell_presence(const Channel& channel, const Presence::Outcome& outcome, Handle skip, ShardId skip_shard);
  void start_position(const SubscribeCommand& command, Channel& channel, const Time& now, SubscribedState& state);
  void sweep(Handle handle, Channel& channel, const Time& now);

  HomeOptions options_;
  const Namespaces& namespaces_;
  Random random_;
  Post post_;
  Slab<Channel> channels_;
  std::unordered_map<ChannelKey, Handle, ChannelKeyHash> by_name_;
  std::priority_queue<Grace, std::vector<Grace>, std::greater<>> graces_;
  std::uint32_t sweep_at_ = 0;
};

}  // namespace tidewire::hub
