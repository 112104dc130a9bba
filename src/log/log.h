// The log: ordered, durable entries of channels, behind one interface for every engine.
//
// Each channel has one home shard, which alone appends to it and numbers its entries; so operations of
// one shard on one channel are carried out, and answered, in the order of submission. Only a Read takes its
// time, and a List, which is of no channel: its answer comes after those of the Appends that it finds, and
// may come after later ones', even after the channel was closed and opened again. What must be atomic: the
// entries, idempotency keys and trimming of one Append are on stable storage together or not at all, and
// Committed comes only when they are. After a failed sync nobody knows what is on the disk: the engine then
// fails every later Append until it is opened anew, and never tries it again. An engine may commit the
// Appends of many channels and shards as one group.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/shared_bytes.h"
#include "base/slab.h"

namespace tidewire::log {

struct Entry {
  std::uint64_t seq = 0;
  std::int64_t timestamp_ms = 0;
  std::int64_t expires_ms = 0;  // 0: never
  SharedBytes body;             // what follows `"channel":C,` in the delivery's JSON

  bool expired(std::int64_t now_ms) const { return expires_ms != 0 && expires_ms <= now_ms; }
};

// An idempotency key and the entry it stands for (protocol §4 `key`).
struct KeyUse {
  std::string name;
  std::uint64_t seq = 0;
  std::int64_t until_ms = 0;  // unix
};

// How much of a channel is kept; older entries may go at any time, oldest first.
struct Retention {
  std::size_t messages = 0;  // 0: none
  std::int64_t ttl_ms = 0;   // 0: no limit
  // The channel has a state that is folded from its entries: those that its saved snapshot does not
  // cover stay whatever the bounds say, and so do those from `Append::keep_from` on.
  bool folded = false;

  friend bool operator==(const Retention&, const Retention&) = default;
};

// ---- operations; `channel` is what the home calls it, unique on its shard while it is open ----

// Must come first, and again only after Close. Makes the channel, under `epoch`, where there is none; or,
// `lazily`, leaves that to its first Append. Until then it has `known_epoch`, or where that is empty one
// that is the same whenever it is opened, unless entries of forgotten channels or the end of the log were
// lost since: no epoch ever comes again for other entries.
struct Open {
  Handle channel;
  std::string name;   // of tenant and channel
  std::string epoch;  // for a new channel; never used before
  bool lazily = false;
  std::string known_epoch = {};  // that it was opened under before
  Retention retention;
  std::size_t tail_messages = 0;  // how much of its end to bring along
  std::size_t tail_bytes = 0;
};

// Entries with the seqs that follow the channel's latest, at least one; with any other seqs it fails, so
// that what was submitted behind a failed Append fails too.
struct Append {
  Handle channel;
  std::uint64_t number = 0;  // repeated in a failure
  std::vector<Entry> entries;
  std::vector<KeyUse> keys;
  // Of a folded channel, from now on: the oldest entry that its state still needs as it is (an inbox's
  // oldest pending one). 0: as before; at first none.
  std::uint64_t keep_from = 0;
  // The channel's mark from now on; 0: as before. See SaveMark.
  std::uint64_t mark = 0;
  // From now on List finds it among those under way, or does so no more.
  bool under_way = false;
};

// Entries after `after`, ascending, until `messages_max` or `bytes_max` is reached (at least one, if
// there is one). Finds what was appended before it, and no more; where `up_to` is committed already it
// waits for no commit.
struct Read {
  Handle channel;
  std::uint64_t number = 0;  // repeated in the answer
  std::uint64_t after = 0;
  std::uint64_t up_to = UINT64_MAX;  // none behind this
  std::size_t messages_max = 0;
  std::size_t bytes_max = 0;
};

// A number that the channel's home wants to find again and that never falls: up to where an inbox's
// entries were sent, say. Not answered; a later Append makes it as safe as itself, a crash of the
// process does not lose it, a power failure may.
struct SaveMark {
  Handle channel;
  std::uint64_t mark = 0;
};

// The folded state at `seq`, so that opening need not read everything. Not answered, and lost at worst;
// passed over when the channel's latest entry is older (the append before it has failed).
struct SaveSnapshot {
  Handle channel;
  std::uint64_t seq = 0;
  SharedBytes state;
};

// How much of the channel is kept from now on, in place of what Open said. Not answered; lost at worst, as
// Open says it again.
struct Retain {
  Handle channel;
  Retention retention;
};

// The home is done with the channel for now; not answered.
struct Close {
  Handle channel;
};

struct StoredChannel {
  std::string name;
  std::string epoch;
  std::uint64_t last_seq = 0;
  std::uint64_t keep_from = 0;  // as its latest Append had it
};

// The channels that ever had an entry, of all shards, open or not, in the byte order of their names: those
// that begin with `prefix` and stand behind `after`. Like a Read it takes its time; what is committed by then
// is there. It costs what it looks at, whatever else is stored.
struct List {
  enum class Of : std::uint8_t { all, under_way };
  std::uint64_t number = 0;  // repeated in the answer
  Of of = Of::all;
  std::string prefix;
  std::string after;
  std::size_t channels_max = 0;
  std::size_t looks_max = 0;                         // at what is `wanted`, or is not
  std::function<bool(const StoredChannel&)> wanted;  // called on any thread
};

using Operation = std::variant<Open, Append, Read, SaveMark, SaveSnapshot, Retain, Close, List>;

// ---- outcomes ----

struct Opened {
  Handle channel;
  std::string epoch;
  std::uint64_t first_seq = 0;  // the oldest entry kept; last_seq + 1 when none is
  std::uint64_t last_seq = 0;   // 0: never an entry
  std::vector<Entry> tail;      // the newest entries, ascending
  std::vector<KeyUse> keys;     // those still in use, ascending by seq
  std::uint64_t snapshot_seq = 0;
  SharedBytes snapshot;  // empty: none
  std::uint64_t mark = 0;
};

struct Committed {
  Handle channel;
  std::uint64_t first_seq = 0;  // after trimming
  std::uint64_t last_seq = 0;
};

struct ReadDone {
  Handle channel;
  std::uint64_t number = 0;
  std::uint64_t first_seq = 0;  // the oldest entry kept, as in Opened
  std::vector<Entry> entries;
};

struct Listed {
  std::uint64_t number = 0;
  std::vector<StoredChannel> channels;
  std::string looked_to;  // a bound was reached at this name, and there may be more behind it; empty: no
};

struct Failed {
  enum class What : std::uint8_t { open, append, read, list };
  Handle channel;  // null of a List
  What what = What::open;
  std::uint64_t number = 0;  // of the append, read or list
  Error error;               // unavailable, as a rule
};

using Outcome = std::variant<Opened, Committed, ReadDone, Listed, Failed>;

// A user whose tokens from before a moment are refused (protocol §8, `.../revoke`).
struct Revocation {
  std::string tenant;
  std::string user_id;
  std::int64_t before_ms = 0;  // unix

  friend bool operator==(const Revocation&, const Revocation&) = default;
};

class Log {
 public:
  virtual ~Log() = default;

  // Takes a turn's operations of one shard. Outcomes reach the sink that the engine was given for this
  // shard, from any thread, possibly before this returns. `now_ms` is unix time.
  virtual void submit(std::uint16_t shard, std::vector<Operation>&& operations, std::int64_t now_ms) = 0;

  // Keeps a revocation; an earlier one of the same user only ever moves forward in time. `saved` is
  // called once, from any thread, possibly before this returns: when it is as safe as an Append, or with
  // `unavailable`. Any thread.
  virtual void save_revocation(Revocation revocation, std::function<void(Result<void>)> saved) = 0;

  // All that were there when the engine was opened or have been saved since, in no order. Any thread.
  virtual std::vector<Revocation> revocations() = 0;
};

}  // namespace tidewire::log
