// The kind `inbox` (protocol §7): a user's entries that wait until a device acks them, their time ends, or
// more important ones push them out.
//
// Invariant: after each event at most `entries_max` entries, and of several at most `bytes_max` bytes; and an
// entry never goes for one of a lower priority. Expiry is judged by the timestamps of events while folding,
// so that a replay gives the same state, and by `now_ms` when reading. One that is empty holds no memory but
// itself. Home shard.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kinds/fold.h"

namespace tidewire::kinds {

// Shared by the inboxes of a shard. A reload changes it under them: a smaller `entries_max` trims with the
// next event.
struct InboxOptions {
  std::int64_t ttl_ms = 3'600'000;  // of an entry that has none of its own
  std::size_t entries_max = 1000;
  // Of the bodies. All of it is in the memory while the inbox is in use, and is saved as one piece.
  std::size_t bytes_max = std::size_t{8} << 20;
};

class InboxEntries;

class Inbox final : public Fold {
 public:
  static constexpr Priority kDefaultPriority = Priority::medium;  // of an entry that says none

  // In the order of delivery (highest priority first, FIFO within one) everything up to here was sent.
  struct Cursor {
    Priority priority = Priority::critical;
    std::uint64_t seq = 0;
  };
  struct Pending {
    Priority priority = Priority::medium;
    std::uint64_t seq = 0;
    std::int64_t expires_ms = 0;  // unix time; pending before it
    SharedBytes body = {};        // what follows `"channel":C,` in the delivery
  };

  // `options` is never null. The user is the one whose inbox it is, in string form.
  Inbox(std::string_view user_id, std::shared_ptr<const InboxOptions> options);
  ~Inbox() override;
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Pending entries behind the cursor with seq <= up_to, in the order of delivery, as many as both bounds
  // allow, and at least one if there is one. O(result), and the expired entries passed over.
  std::vector<Pending> backlog(Cursor after, std::uint64_t up_to, std::size_t messages_max,
                               std::size_t bytes_max, std::int64_t now_ms) const;

  // Of these seqs, or of all up to one, those that are pending; ascending, no repeats.
  std::vector<std::uint64_t> pending_among(std::span<const std::uint64_t> seqs, std::int64_t now_ms) const;
  std::vector<std::uint64_t> pending_up_to(std::uint64_t seq, std::int64_t now_ms) const;

  // The number of pending entries.
  std::size_t size(std::int64_t now_ms) const;

  // Of all entries held, expired ones too; 0 when there is none. The log keeps everything from there on.
  std::uint64_t oldest_seq() const;
  std::size_t bytes() const;  // of the bodies of all entries

  // Never for an empty id.
  bool owned_by(std::string_view user_id) const override;
  // Publishing is by the rule or a grant alone: the `ack` request of the user itself does not come here.
  Result<void> admit(const Event& event, const Asker& asker) const override;
  // An event `ack` takes the entries in `{"seqs":[…]}` away; every other name adds one.
  Result<Taken> take(const Event& event, const Asker& asker) override;
  Result<Taken> judge(const Event& event, const Asker& asker) const override;
  void replay(const Event& event) override;
  std::string snapshot(std::int64_t now_ms) const override;
  std::string save() const override;
  bool restore(std::string_view saved) override;

 private:
  bool pushed_out_at_once(const Event& event) const;
  void fold_entry(const Event& event);
  void fold_ack(const std::vector<std::uint64_t>& seqs, std::int64_t timestamp_ms);
  void trim();
  static Priority priority_of(const Event& event) { return event.priority.value_or(kDefaultPriority); }

  std::string user_id_;
  std::shared_ptr<const InboxOptions> options_;
  std::unique_ptr<InboxEntries> entries_;  // null: none
};

}  // namespace tidewire::kinds
