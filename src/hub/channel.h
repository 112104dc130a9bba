// A channel at its home shard: the one place that numbers its messages.
//
// Invariant: seq grows by exactly one per message under one epoch, and only messages that are as safe as
// the namespace promises are counted, kept and shown. A channel stays while it has followers, members,
// or messages that nothing else keeps, and for ten minutes after its last use (protocol §7), so that a
// position keeps its meaning for at least that long.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/ring.h"
#include "base/short_list.h"
#include "hub/history.h"
#include "hub/idempotency.h"
#include "hub/messages.h"
#include "hub/presence.h"
#include "hub/types.h"
#include "kinds/fold.h"
#include "kinds/inbox.h"
#include "kinds/owned_run.h"
#include "log/log.h"

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
  kinds::Event event = {};     // where the channel folds
  std::string leaver = {};     // of a session: who leaves by it; empty: nobody
  std::optional<Acked> acked;  // it was asked for by an `ack`
  // What must not be said before this entry is safe, in order; with the error if it never will be.
  std::vector<std::function<void(const Error*)>> held;
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
  bool was_parked = false;         // until it is open again
  std::int64_t retry_at_ms = 0;    // mono; when failed, opening is tried again for whoever comes after this
  std::uint64_t folding_read = 0;  // the read whose entries are to be folded; 0: none
  std::uint64_t first_seq = 1;     // the oldest that the log keeps
  std::uint64_t assigned = 0;      // the last seq given out
  std::uint64_t next_number = 1;
  log::Retention retention = {};  // as the log was told
  Ring<PendingEntry> pending;
  std::vector<Waiting> waiting;  // commands, until it is open
  std::vector<PendingRead> reads;
  // Of ephemeral messages behind those that are pending; past the bound they are refused.
  std::size_t held_bytes = 0;
  static constexpr std::size_t kHeldBytes = std::size_t{4} << 20;
  bool busy() const { return state == State::opening || !pending.empty() || !reads.empty(); }
};

// What a channel has besides where its kind folds its events into a state (kinds/fold.h).
//
// The state is that of the last seq given out, which may be ahead of what is safe: an event is checked
// against those before it at once. So whatever is said of the state waits for the entries under way
// (Home::settle), and when one of them fails the state is built anew from the log.
struct Folded {
  // A subscription in a channel that has members.
  struct Reader {
    ShardId shard = 0;
    Handle follower;
    Handle session;
    std::uint32_t subscription = 0;
    std::string user_id;
    std::uint64_t since = 0;  // the channel's seq when it began
    bool by_right = false;    // of a grant or rule: it stays when its user is no member any more
  };
  // Deliveries that are held back and merged, in a conflated channel.
  struct Window {
    std::int64_t ends_ms = 0;  // mono
    bool scheduled = false;
    bool whole = false;    // only the whole state can stand for what waits
    bool telling = false;  // and it waits for the log
    std::vector<kinds::Run> runs;
    std::size_t bytes = 0;
    // Who published all that waits and wants none of it back; null where somebody else did too.
    Handle skip = {};
    ShardId skip_shard = 0;
    // What must come behind the whole state that is being told.
    std::vector<std::function<void()>> behind = {};
  };
  // A message that is safe, and whose publisher is told so once it is in the inboxes of those who are away.
  struct Telling {
    std::uint64_t seq = 0;
    std::vector<PendingEntry::Asker> published;
    std::vector<PendingEntry::Asker> duplicate;
    std::vector<std::string> users = {};  // who are away
    std::size_t next = 0;                 // of them; those before were sent theirs
    std::size_t outstanding = 0;          // and so many have not answered
    SharedBytes tail = {};
    std::string key = {};
    std::optional<Error> error = {};
    bool is_late = false;  // to one who was here when it came, and has gone without it; nobody waits for it

    std::size_t bytes_of_one() const { return tail.size() + key.size() + kTellingBytes; }
    std::size_t bytes() const { return tail.size() + key.size() + users.size() * sizeof(std::string); }
  };
  static constexpr std::size_t kTellingBytes = 1024;  // a command, and what becomes of it, beside its tail
  struct Tellings {
    std::map<std::uint32_t, Telling> all;  // by the slot of the replies
    std::uint32_t next_slot = 1;
    // Slots of those with users left. The first goes on alone: in an inbox the order is that of the session.
    Ring<std::uint32_t> unsent;
    std::set<std::uint64_t> told;  // of what the history holds, where a key may repeat it
  };
  // Whether a run's creator still has a connection is being asked of all shards.
  struct RunCheck {
    std::size_t parts_left = 0;
    std::uint64_t connections = 0;
    bool scheduled = false;
  };

  std::unique_ptr<kinds::Fold> fold;
  std::uint64_t seq = 0;        // of the state
  std::uint64_t saved_seq = 0;  // of the state that the log has
  std::size_t unsaved_bytes = 0;
  std::size_t saved_bytes = 0;
  SharedBytes snapshot;  // as readers see it at `seq`; empty: not rendered yet
  std::uint64_t shown = 0;
  std::uint64_t mark = 0;         // of an inbox: entries up to here were sent to the user
  std::int64_t idle_from_ms = 0;  // unix; a run is silent since then at most
  std::vector<Reader> readers;
  std::unique_ptr<Window> window;
  RunCheck run_check;
  std::unique_ptr<Tellings> tellings;  // null until there was one

  // readers.end(): it has none, or the membership that it rested on has ended.
  std::vector<Reader>::iterator find_reader(ShardId shard, Handle session, std::uint32_t subscription) {
    return std::ranges::find_if(readers, [&](const Reader& reader) {
      return reader.shard == shard && reader.session == session && reader.subscription == subscription;
    });
  }
  bool is_telling() const { return tellings && !tellings->all.empty(); }
};

// An epoch in half of a string's memory: those that the server gives out have 13 characters.
class Epoch {
 public:
  explicit Epoch(std::string_view text)
      : size_(static_cast<std::uint8_t>(text.copy(text_.data(), text_.size()))) {
    TIDEWIRE_CHECK(size_ == text.size());
  }
  std::string_view view() const { return {text_.data(), size_}; }
  operator std::string() const { return std::string(view()); }
  friend bool operator==(const Epoch& a, std::string_view b) { return a.view() == b; }

 private:
  std::array<char, 15> text_;
  std::uint8_t size_;
};

// What a channel has beside its name, its position and its followers once something has come to it; one
// that is parked has none of it, and most users' inboxes are parked.
struct ChannelExtras {
  History history;
  std::unique_ptr<DurableState> durable;  // null: the channel lives in memory, or is parked
  std::unique_ptr<Folded> folded;         // null: a stream, or parked
  std::unique_ptr<Presence> presence;
  std::unique_ptr<IdempotencyWindow> keys;

  bool empty() const { return history.empty() && !durable && !folded && !presence && !keys; }
};

struct Channel {
  Channel(const ChannelKey& key_, const Namespace& ns_, std::string_view epoch_, std::int64_t now_ms)
      : key(key_), ns(&ns_), kind(ns_.kind), epoch(epoch_), last_used_ms(now_ms) {}

  // A shard with subscribers of this channel.
  struct Follower {
    ShardId shard = 0;
    Handle replica;  // what the shard calls the channel
    std::uint32_t subscribers = 0;
  };

  // More than a `subscribed` may carry is not worth keeping in front of a log.
  static constexpr std::size_t kCacheMessages = 501;
  static constexpr std::size_t kCacheBytes = 257 * 1024;
  // At most 10 deliveries a second (protocol §7 `upload`): one per window, and one more at the end.
  static constexpr std::int64_t kUploadConflateMs = 112;

  // As if every channel had them; more() makes them.
  const History& history() const { return extras ? extras->history : kNoHistory; }
  DurableState* durable() const { return extras ? extras->durable.get() : nullptr; }
  Folded* folded() const { return extras ? extras->folded.get() : nullptr; }
  Presence* presence() const { return extras ? extras->presence.get() : nullptr; }
  IdempotencyWindow* keys() const { return extras ? extras->keys.get() : nullptr; }
  IdempotencyWindow& keys_wanted() {
    if (!keys()) more().keys = std::make_unique<IdempotencyWindow>();
    return *keys();
  }
  ChannelExtras& more() {
    if (!extras) extras = std::make_unique<ChannelExtras>();
    return *extras;
  }

  HistoryBounds bounds() const {
    if (!durable()) return {.messages = ns->history_messages, .ttl_ms = ns->history_ttl_ms};
    return {.messages = std::min(ns->history_messages, kCacheMessages),
            .ttl_ms = ns->history_ttl_ms,
            .bytes = kCacheBytes,
            .is_cache = true};
  }
  // The oldest seq that is kept; the next one's where none is.
  std::uint64_t first_seq() const {
    if (durable()) return durable()->first_seq;
    return history().empty() ? seq + 1 : history().first_seq();
  }
  // What its log should keep.
  log::Retention retention() const {
    return {.messages = ns->history_messages, .ttl_ms = ns->history_ttl_ms, .folded = folded() != nullptr};
  }
  void trim(std::int64_t now_ms) {
    if (!extras) return;
    const std::uint64_t gone_before = extras->history.trim(now_ms, bounds());
    if (!durable()) return;
    // What a state needs stays in the log; readers, who have the snapshot, see only what the namespace
    // keeps. An inbox keeps what is pending.
    std::uint64_t first = std::max(durable()->first_seq, gone_before);
    if (seq > ns->history_messages) first = std::max(first, seq + 1 - ns->history_messages);
    if (folded() && needs_from() != 0) first = std::max(durable()->first_seq, std::min(first, needs_from()));
    // Expired entries at the old end count as trimmed (protocol §5).
    while (first <= seq && history().holds(first) && history().at(first).expired(now_ms)) ++first;
    durable()->first_seq = first;
  }
  // Null where it is none.
  const kinds::OwnedRun* run() const {
    const bool is_run = (kind == Kind::upload || kind == Kind::agent) && folded();
    return is_run ? static_cast<const kinds::OwnedRun*>(folded()->fold.get()) : nullptr;
  }
  // Null where it is none.
  const kinds::Inbox* inbox() const {
    const bool is_inbox = kind == Kind::inbox && folded();
    return is_inbox ? static_cast<const kinds::Inbox*>(folded()->fold.get()) : nullptr;
  }
  std::size_t inbox_bytes() const { return inbox() ? inbox()->bytes() : 0; }
  // The oldest entry that an inbox still has pending; 0: none.
  std::uint64_t needs_from() const { return inbox() ? inbox()->oldest_seq() : 0; }
  // The last seq given out.
  std::uint64_t assigned() const { return durable() ? durable()->assigned : seq; }
  // Deliveries are merged, at most one per this time; 0: not.
  std::int64_t conflate_ms() const {
    if (kind == Kind::upload) return std::max(ns->conflate_ms, kUploadConflateMs);
    return kind == Kind::document ? ns->conflate_ms : 0;
  }
  // Live deliveries have come up to here; less than `seq` while a window holds some back.
  std::uint64_t shown() const { return folded() && folded()->window ? folded()->shown : seq; }
  // What a reader has missed is merged for it.
  bool merges() const { return kind == Kind::agent || conflate_ms() > 0; }
  std::size_t subscribers() const {
    std::size_t count = 0;
    for (const Follower& follower : followers) count += follower.subscribers;
    return count;
  }

  ChannelKey key;
  const Namespace* ns;
  Kind kind;               // as when it was opened: a reload must not turn a channel into another kind
  bool has_epoch = false;  // its log has said under which epoch it is
  bool used = false;       // somebody has subscribed, published or entered since it was opened
  bool parked = false;     // its log is closed and its state dropped until somebody needs them (Home::park)
  Epoch epoch;
  std::uint64_t seq = 0;  // the latest that was shown; 0: never a message
  std::int64_t last_used_ms;
  ShortList<Follower> followers;
  std::unique_ptr<ChannelExtras> extras;

 private:
  inline static const History kNoHistory;
};
static_assert(sizeof(Channel) <= 104, "every inbox has one, parked or not");

}  // namespace tidewire::hub
