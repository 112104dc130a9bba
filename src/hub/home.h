// The channels whose home is this shard: numbering, history, presence, and answers to every shard.
//
// Takes commands and outcomes of the log, and gives back envelopes for shards and operations for the
// log; no socket, clock or random source inside. Owned by the shard's thread. What a command causes is
// emitted in the order in which subscribers must see it, and envelopes to one shard keep that order: a
// subscription that is told "you have everything up to n" gets n+1 as its next delivery.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "hub/channel.h"
#include "hub/messages.h"
#include "hub/named_slab.h"
#include "hub/namespaces.h"
#include "log/log.h"

namespace tidewire::hub {

struct HomeOptions {
  std::int64_t idempotency_window_ms = 300'000;
  std::int64_t presence_grace_ms = 5'000;
  kinds::InboxOptions inbox = {};
  ShardId self = 0;
  ShardId shards = 1;
  std::uint64_t hash_seed = 0;
  std::vector<std::string> tenants{"default"};  // names by id; a log knows tenants by name
};

class Home {
 public:
  // `post` sends to a shard, this one included; `submit` hands an operation to the log.
  using Post = std::function<void(ShardId, Message&&)>;
  using Submit = std::function<void(log::Operation&&)>;
  Home(HomeOptions options, const Namespaces& namespaces, std::uint64_t seed, Post post, Submit submit);

  void handle(ShardId from, SubscribeCommand&& command, const Time& now);
  void handle(ShardId from, UnsubscribeCommand&& command, const Time& now);
  void handle(ShardId from, PublishCommand&& command, const Time& now);
  void handle(ShardId from, HistoryCommand&& command, const Time& now);
  void handle(ShardId from, PresenceCommand&& command, const Time& now);
  void handle(ShardId from, DepartCommand&& command, const Time& now);
  void handle(ShardId from, ReviewCommand&& command, const Time& now);
  void handle(ShardId from, CatchUpCommand&& command, const Time& now);
  void handle(ShardId from, ChannelInfoCommand&& command, const Time& now);
  void handle(ShardId from, AckCommand&& command, const Time& now);
  void handle(ShardId from, SnapshotCommand&& command, const Time& now);
  void handle(ShardId from, Answer&& answer, const Time& now);
  void handle(ShardId from, PublishResult&& result, const Time& now);

  void handle(log::Outcome&& outcome, const Time& now);

  // Ends grace times that are over and sweeps a part of the channels for what has expired. Call it
  // several times a second; a call looks at a bounded number of channels.
  void tick(const Time& now);

  // Shows what conflated channels have held back for long enough.
  void show_due(const Time& now);
  // The mono time in ms at which show_due() next has something to do; INT64_MAX for never.
  std::int64_t next_due_ms() const {
    return windows_.empty() ? std::numeric_limits<std::int64_t>::max() : windows_.top().at_ms;
  }

  // This shard's channels of a tenant with the prefix, after `after` in byte order, at most `limit`.
  std::vector<ChannelInfo> list(const ListChannels& query);
  // Answers with them. To this shard itself, once the log has told them, also with those of all shards that
  // are stored, in memory or not.
  void answer_list(ShardId from, const ReplyTo& reply, ListChannels&& query);
  std::size_t size() const { return channels_.size(); }
  // Likewise of each tenant; those behind the last one that ever had some are left out.
  const std::vector<std::size_t>& sizes() const { return sizes_; }
  std::size_t parked() const { return parked_; }
  void reload(HomeOptions options);

  // Protocol §5: more than this arrives after `subscribed`, in pieces of this size at most. The pieces of a
  // stream end at multiples of kReplayMessages, so that readers who have come there can share the next ones.
  static constexpr std::size_t kReplayMessages = 500;
  static constexpr std::size_t kReplayBytes = 256 * 1024;
  static constexpr std::int64_t kIdleMs = 10 * 60 * 1000;
  // An inbox that is empty and was not used for so long gives its memory back, however many follow it; one
  // that was opened only to be followed does so at once.
  static constexpr std::int64_t kParkMs = 5'000;
  // So does one of more bytes that nobody follows: many away users' entries don't stand in memory together.
  static constexpr std::size_t kLargeInboxBytes = 64 * 1024;
  // What is on its way to the inboxes of a session's absent members, of all shards together, and one more
  // of each: well below what the log takes at once. Sessions take turns with pieces of so many bytes.
  static constexpr std::size_t kTellBytes = std::size_t{8} << 20;
  static constexpr std::size_t kTellTurnBytes = 64 * 1024;
  // Of messages that are being told; past it a session has no second one.
  static constexpr std::size_t kTellingsBytes = std::size_t{32} << 20;

 private:
  struct Due {
    std::int64_t at_ms;
    Handle channel;
    bool operator>(const Due& other) const { return at_ms > other.at_ms; }
  };
  struct Grace : Due {
    std::string scope;
  };
  struct Listing {
    ReplyTo reply;
    ListChannels query;
  };
  template <class What>
  using Queue = std::priority_queue<What, std::vector<What>, std::greater<>>;

  void note_start(const Time& now) {
    if (started_ms_ == 0) started_ms_ = now.unix_ms;
  }
  Channel* find(const ChannelKey& key);
  Channel& open(const ChannelKey& key, const Time& now, Handle* handle = nullptr);
  Channel::Follower& follower_of(Channel& channel, ShardId shard, Handle replica);
  void deliver(const Channel& channel, std::uint64_t first_seq, std::uint64_t seq, const SharedBytes& body,
               Handle skip, ShardId skip_shard);
  void tell_presence(const Channel& channel, const Presence::Outcome& outcome, Handle skip,
                     ShardId skip_shard);
  void start_position(const SubscribeCommand& command, const Channel& channel, const Time& now,
                      SubscribedState& state);
  void begin_subscription(ShardId from, SubscribeCommand&& command, Handle handle, SharedBytes snapshot,
                          const Time& now);
  // Whose right to it was looked at; without `may_list` it is a `leave`.
  void carry_out(ShardId from, Handle handle, PresenceCommand&& command, bool may_list, const Time& now);
  void unfollow(ShardId from, Handle handle, const UnsubscribeCommand& command);
  void depart(Handle handle, const Author& author, const Time& now);
  void sweep(Handle handle, Channel& channel, const Time& now);
  void begin(Handle handle, Channel& channel);
  static bool may_park(const Channel& channel, const Time& now);
  void park(Handle handle, Channel& channel);

  // home_messages.cpp, home_reads.cpp
  void take_ephemeral(Handle handle, Channel& channel, PendingEntry&& pending, const Time& now);
  void show_ephemeral(const Channel& channel, const PendingEntry& pending);
  static PendingEntry entry_of(ShardId from, const PublishCommand& command, const Channel& channel,
                               const Time& now);
  static std::string head_of(const Entry& entry);  // what stands before a command's tail
  bool answer_repeat(Handle handle, Channel& channel, const PendingEntry& pending, const Time& now);
  void refuse_settled(Handle handle, Channel& channel, const PendingEntry::Asker& asked, Error why);
  void answer_dropped(Handle handle, Channel& channel, const PendingEntry::Asker& asked);
  void append(Handle handle, Channel& channel, PendingEntry&& pending, const Time& now);
  void commit(Handle handle, Channel& channel, PendingEntry&& pending, const Time& now);
  void answer(const PendingEntry::Asker& asker, const Channel& channel, Result<Published> result);
  void answer(const PendingEntry& pending, const Channel& channel, const Error* error);
  void read_history(ShardId from, Handle handle, HistoryCommand&& command, const Time& now);
  void answer_history(ShardId to, HistoryCommand&& command, const Channel& channel,
                      Result<std::vector<SharedBytes>> page);
  void answer_catch_up(ShardId to, const CatchUpCommand& command, Channel& channel,
                       std::vector<CatchUpItem>&& items, std::uint64_t next_seq, const Time& now);

  // home_kinds.cpp
  std::unique_ptr<kinds::Fold> make_fold(const Channel& channel) const;
  static void adopt_settings(Channel& channel);
  static kinds::Asker asker_of(const std::shared_ptr<const Author>& author, const Rights& rights);
  static bool may_read(const Channel& channel, const std::shared_ptr<const Author>& author,
                       const Rights& rights);
  // Calls `then` once nothing that the state rests on can fail any more: at once, or after the entries
  // under way, with the error if one of them fails.
  void settle(Channel& channel, std::function<void(const Error*)> then);
  const SharedBytes& snapshot_of(Channel& channel, const Time& now);
  enum class Save : std::uint8_t { when_worth_it, now };
  void save_state(Handle handle, Channel& channel, Save save);
  void answer_with_whole(ShardId to, const CatchUpCommand& command, Channel& channel, CatchUpItem&& item);
  void answer_with_snapshot(ShardId to, const CatchUpCommand& command, Channel& channel, const Time& now);
  // False when the items can only be told as the whole state, which has then been answered.
  bool merge(ShardId to, const CatchUpCommand& command, Channel& channel, std::vector<CatchUpItem>& items,
             const Time& now);
  void after_event(Handle handle, Channel& channel, const Time& now);

  // home_windows.cpp
  void show(Handle handle, Channel& channel, const PendingEntry& pending, const Time& now);
  void close_window(Handle handle, Channel& channel, const Time& now);
  void refill_window(Handle handle, Channel& channel);
  void schedule_window(Handle handle, Folded::Window& window);

  // home_inboxes.cpp
  std::optional<Backlog> start_backlog(Handle handle, Channel& channel, const Time& now);
  void answer_backlog(ShardId to, const CatchUpCommand& command, Channel& channel, const Time& now);

  // home_tellings.cpp
  bool tell_absent(Handle handle, Channel& channel, const kinds::Event& event, Folded::Telling&& telling);
  bool tell(Handle handle, Channel& channel, const kinds::Event& event,
            const std::function<bool(std::string_view user_id)>& wanted, Folded::Telling&& telling);
  void tell_late(Handle handle, Channel& channel, const std::string& user_id, std::uint64_t from_seq);
  void remove_reader(ShardId from, Handle handle, Channel& channel, const UnsubscribeCommand& command);
  bool tell_again(Handle handle, Channel& channel, std::uint64_t seq, const PendingEntry::Asker& asker);
  bool may_tell(const Channel& channel) const;
  void tell_on();
  void tell_some(Handle handle, Channel& channel, std::size_t bytes_max);
  void answer_told(Channel& channel, const Folded::Telling& told);

  // review.cpp
  void review_presence(ShardId from, Channel& channel, const ReviewCommand& command, bool allowed,
                       const Time& now);
  void review_reader(ShardId from, Channel& channel, const ReviewCommand& command, bool allowed);
  void revoke_readers(Channel& channel, std::string_view left);
  void leave_presence(Channel& channel, const Author& author, Handle skip, ShardId skip_shard);

  // home_runs.cpp
  void watch_run(Handle handle, Channel& channel);
  void check_runs(const Time& now);
  // Looks at all of them anew: their namespace may say another time now.
  void review_runs();

  // home_list.cpp
  void on(log::Listed&& listed, const Time& now);
  void fail_list(std::uint64_t number, const Error& error);
  // Asks the log for the runs that were under way when the server ended, some at a time: to open one is to
  // watch it.
  void find_runs();

  // home_log.cpp
  void open_log(Handle handle, Channel& channel);
  void tell_retention(Handle handle, Channel& channel);
  template <class Command>
  bool wait_for_log(Handle handle, Channel& channel, ShardId from, Command& command, const Time& now);
  void begin_anew(Channel& channel);
  void fold_log(Handle handle, Channel& channel, const Time& now);
  void fold_page(Handle handle, Channel& channel, std::vector<Entry>&& entries, const Time& now);
  void finish_opening(Handle handle, const Time& now);
  void read_log(Handle handle, Channel& channel, ShardId from, Message&& asker, std::uint64_t after,
                std::uint64_t count, std::size_t bytes_max);
  void on(log::Opened&& opened, const Time& now);
  void on(log::Committed&& committed, const Time& now);
  void on(log::ReadDone&& done, const Time& now);
  void on(log::Failed&& failed, const Time& now);
  void refuse(DurableState::Waiting&& waiting, const Error& error);
  std::optional<DurableState::Waiting> take_read(DurableState& durable, std::uint64_t number);

  HomeOptions options_;
  const Namespaces& namespaces_;
  Random random_;
  Post post_;
  Submit submit_;
  NamedSlab<Channel> channels_;
  std::vector<std::size_t> sizes_;  // of channels_, by tenant
  Queue<Grace> graces_;
  Queue<Due> windows_;              // mono
  Queue<Due> runs_;                 // unix
  Ring<Handle> tellers_;            // sessions with somebody to tell, in the order of their turns
  std::size_t tellings_bytes_ = 0;  // of all tellings
  std::size_t telling_bytes_ = 0;   // of the commands that were not answered
  std::shared_ptr<kinds::InboxOptions> inbox_options_;  // of all inboxes here
  std::map<std::uint64_t, Listing> listings_;           // that the log is asked for, by number
  std::uint64_t next_listing_ = 1;
  std::int64_t started_ms_ = 0;  // unix; 0: not yet
  bool runs_found_ = false;      // all that were under way before
  std::uint64_t runs_listing_ = 0;
  std::string runs_after_;
  std::uint32_t sweep_at_ = 0;
  std::size_t parked_ = 0;
};

// True when the channel's log is not open yet: the command waits, or was refused.
template <class Command>
bool Home::wait_for_log(Handle handle, Channel& channel, ShardId from, Command& command, const Time& now) {
  if (!channel.durable() || channel.durable()->state == DurableState::State::open) return false;
  DurableState::Waiting waiting{.from = from, .command = std::move(command)};
  if (channel.durable()->state == DurableState::State::failed &&
      channel.durable()->retry_at_ms <= now.mono_ms())
    open_log(handle, channel);
  if (channel.durable()->state == DurableState::State::opening)
    channel.durable()->waiting.push_back(std::move(waiting));
  else
    refuse(std::move(waiting), fail(ErrorCode::unavailable, "the store is not available").error());
  return true;
}

}  // namespace tidewire::hub
