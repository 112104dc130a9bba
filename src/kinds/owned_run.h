// What an upload and an agent's run have in common (protocol §7): a creator, a life that one of three
// events ends, and the rule that nothing comes after.
//
// The creator is the first user to publish; an API key never is. Invariant: `ended()` never turns false
// again; the creator never changes. Owned by the channel's home shard.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kinds/fold.h"
#include "protocol/fields.h"

namespace tidewire::kinds {

class OwnedRun : public Fold {
 public:
  bool owned_by(std::string_view user_id) const override { return !user_id.empty() && user_id == creator(); }

  // Who may publish by rule or grant, the creator, and any user while nobody is.
  Result<void> admit(const Event& event, const Asker& asker) const override;

  bool ended() const { return status_ >= Status::complete; }
  // Unix time of the last event in the log; 0: none yet.
  std::int64_t last_event_ms() const { return last_event_ms_; }
  // In string form; empty: no user has published yet.
  std::string_view creator() const { return creator_.empty() ? claimed_by_ : creator_; }

 protected:
  enum class Status : std::uint8_t { pending, running, complete, failed, cancelled };

  Status status() const { return status_; }
  // The status that this event's name ends a run with; `running` where it ends none.
  static Status status_after(std::string_view event_name);

  // What is true of both kinds: events have names, carry `data`, and come before the end.
  Result<void> check(const Event& event) const;
  // The first user to publish is the creator, also with an ephemeral event. That one is in no log, and so no
  // part of the state: it holds while the channel is in memory.
  void claim(const Event& event) {
    if (creator().empty()) claimed_by_ = event.user_id;
  }
  // Takes note of an event of the log: its author, its time, the status after it.
  void note(const Event& event);

  // The members that save() of both kinds begins with, a comma behind each, and back; false: unreadable.
  void save_run(std::string& out) const;
  bool restore_run(protocol::Fields& saved);

 private:
  Status status_ = Status::pending;
  std::int64_t last_event_ms_ = 0;
  std::string creator_;
  std::string claimed_by_;
};

}  // namespace tidewire::kinds
