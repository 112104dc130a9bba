// What makes a channel more than a stream: a kind checks each event and folds it into a state, which
// readers see as the snapshot (protocol §7). Nothing else in the server knows what a kind means.
//
// Invariant: the state is a function of the events in their order. A saved state with the later events
// replayed is the same as all events replayed. Pure; owned by the channel's home shard.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/shared_bytes.h"
#include "kinds/event.h"

namespace tidewire::kinds {

// Who asks, as far as the namespace's rule, grants and API keys decide it. What belongs to the owner of
// the channel (its members, its creator) is for the kind to add.
struct Asker {
  std::string_view user_id = {};    // empty: anonymous, or an API key
  std::string_view user_json = {};  // the id as its token spelled it
  bool server = false;              // an API key: passes every access rule and never owns anything
  bool may_subscribe = false;       // by the rule or a grant; true for an API key
  bool may_publish = false;         // likewise
};

// Deliveries that stand for first..last, as subscribers get them.
struct Run {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  SharedBytes body = {};  // what follows `"channel":C,`; with `first_seq` where it stands for several
};

struct Taken {
  bool dropped = false;     // an inbox was full of more important entries: nothing is to be appended
  std::string leaver = {};  // of a session: who has left by it; empty: nobody
};

class Fold {
 public:
  virtual ~Fold() = default;

  // Whether the channel is this user's by membership or creation (never for an empty id).
  virtual bool owned_by(std::string_view user_id) const = 0;

  // The access check of a publish (protocol §3), before its key is looked at: forbidden, or unauthorized
  // where a token would help. Ephemeral events come here too.
  virtual Result<void> admit(const Event& event, const Asker& asker) const = 0;

  // The kind's own rules, for an admitted event: folds it, or says invalid_event, forbidden (an edit of
  // another's message) or too_large, and then nothing has changed. An ephemeral event is checked only:
  // the state does not change.
  virtual Result<Taken> take(const Event& event, const Asker& asker) = 0;

  // What take() would say now; nothing changes.
  virtual Result<Taken> judge(const Event& event, const Asker& asker) const = 0;

  // Folds an event that was taken once, from the log. What can't be read changes nothing.
  virtual void replay(const Event& event) = 0;

  // The `data` of the snapshot at this unix time, JSON.
  virtual std::string snapshot(std::int64_t now_ms) const = 0;

  // The state as it is kept in the log, and back. False: it can't be read; the fold is then as new.
  virtual std::string save() const = 0;
  virtual bool restore(std::string_view saved) = 0;

  // Fewer deliveries that say the same as these, which follow each other: for a conflated channel and
  // for slow readers. nullopt: only the whole state can stand for them.
  virtual std::optional<std::vector<Run>> conflate(std::vector<Run>&& runs) const { return std::move(runs); }

  // The body of the one delivery that stands for first..last whatever they were: the state as `data`
  // (protocol §7). `last` must be the last event folded; `first_seq` stands where first differs from it.
  SharedBytes whole(std::uint64_t first, std::uint64_t last, std::int64_t timestamp_ms) const;
};

}  // namespace tidewire::kinds
