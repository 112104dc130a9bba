// The channels whose home is this shard: numbering, history, presence, and answers to every shard.
//
// Takes commands and outcomes of the log, and gives back envelopes for shards and operations for the
// log; no socket, clock or random source inside. Owned by the shard's thread. What a command causes is
// emitted in the order in which subscribers must see it, and envelopes to one shard keep that order: a
// subscription that is told "you have everything up to n" gets n+1 as its next delivery.
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
#include "hub/namespaces.h"
#include "log/log.h"

namespace tidewire::hub {

struct HomeOptions {
  std::int64_t idempotency_window_ms = 300'000;
  std::int64_t presence_grace_ms = 5'000;
  std::uint64_t hash_seed = 0;
  std::vector<std::string> tenants{"default"};  // names by id; a log knows tenants by name
};

class Home {
 public:
  // `post` sends to a shard, this one included; `append` hands an operation to the log.
  using Post = std::function<void(ShardId, Message&&)>;
  using Submit = std::function<void(log::Operation&&)>;
  Home(HomeOptions options, const Namespaces& namespaces, std::uint64_t seed, Post post, Submit submit);

  void handle(ShardId from, SubscribeCommand&& command, const Time& now);
  void handle(ShardId from, UnsubscribeCommand&& command, const Time& now);
  void handle(ShardId from, PublishCommand&& command, const Time& now);
  void handle(ShardId from, HistoryCommand&& command, const Time& now);
  void handle(ShardId from, PresenceCommand&& command, const Time& now);
  void handle(ShardId from, DepartCommand&& command, const Time& now);
  void handle(ShardId from, CatchUpCommand&& command, const Time& now);
  void handle(ShardId from, ChannelInfoCommand&& command, const Time& now);

  void handle(log::Outcome&& outcome, const Time& now);

  // Ends grace times that are over and sweeps a part of the channels for what has expired. Call it
  // several times a second; a call looks at a bounded number of channels.
  void tick(const Time& now);

  // This shard's channels of a tenant with the prefix, after `after` in byte order, at most `limit`.
  std::vector<ChannelInfo> list(const ListChannels& query);
  std::size_t size() const { return channels_.size(); }
  void reload(HomeOptions options) { options_ = std::move(options); }

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
  void tell_presence(const Channel& channel, const Presence::Outcome& outcome, Handle skip,
                     ShardId skip_shard);
  void start_position(const SubscribeCommand& command, const Channel& channel, const Time& now,
                      SubscribedState& state);
  void sweep(Handle handle, Channel& channel, const Time& now);

  // home_messages.cpp
  void commit(Channel& channel, PendingEntry&& pending, const Time& now);
  void answer(const PendingEntry::Asker& asker, const Channel& channel, Result<Published> result);
  void answer_history(ShardId to, HistoryCommand&& command, const Channel& channel,
                      Result<std::vector<SharedBytes>> page);
  void answer_catch_up(ShardId to, const CatchUpCommand& command, const Channel& channel,
                       std::vector<CatchUpItem>&& items, std::uint64_t next_seq);

  // home_log.cpp
  void open_log(Handle handle, Channel& channel);
  template <class Command>
  bool wait_for_log(Channel& channel, ShardId from, Command& command);
  void read_log(Handle handle, Channel& channel, ShardId from, Message&& asker, std::uint64_t after,
                std::uint64_t count);
  void on(log::Opened&& opened, const Time& now);
  void on(log::Committed&& committed, const Time& now);
  void on(log::ReadDone&& done, const Time& now);
  void on(log::Failed&& failed, const Time& now);
  void refuse(DurableState::Waiting&& waiting, const Error& error);
  Message take_read(DurableState& durable, std::uint64_t number, ShardId& from);

  HomeOptions options_;
  const Namespaces& namespaces_;
  Random random_;
  Post post_;
  Submit submit_;
  Slab<Channel> channels_;
  std::unordered_map<ChannelKey, Handle, ChannelKeyHash> by_name_;
  std::priority_queue<Grace, std::vector<Grace>, std::greater<>> graces_;
  std::uint32_t sweep_at_ = 0;
};

// True when the channel's log is not open yet: the command waits, or was refused.
template <class Command>
bool Home::wait_for_log(Channel& channel, ShardId from, Command& command) {
  if (!channel.durable || channel.durable->state == DurableState::State::open) return false;
  DurableState::Waiting waiting{.from = from, .command = std::move(command)};
  if (channel.durable->state == DurableState::State::opening)
    channel.durable->waiting.push_back(std::move(waiting));
  else
    refuse(std::move(waiting), fail(ErrorCode::unavailable, "the store is not available").error());
  return true;
}

}  // namespace tidewire::hub
