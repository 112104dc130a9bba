// The kind `session` (protocol §7): a chat or working session with a durable list of members, each with a
// position up to which it has read.
//
// Invariant: the first member is the owner, and there is no other; a member's `unread` is the number of
// messages in the index behind its `read` that others wrote. The index holds the newest `messages_max`
// messages that were not deleted: older ones can't be edited, and no longer count as unread. Home shard.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kinds/fold.h"
#include "kinds/session_action.h"

namespace tidewire::kinds {

struct SessionOptions {
  bool open_join = false;  // `namespaces.NAME.join` is `open`
  std::size_t members_max = 10'000;
  std::size_t messages_max = 100'000;
};

// Not to be confused with hub::Session, which belongs to a connection.
class SessionChannel final : public Fold {
 public:
  struct Member {
    std::string user_id;
    std::string user_json;  // as the first join spelled it: `1` or `"1"`
    bool owner = false;
    std::uint64_t read = 0;    // at first the seq of its join
    std::uint64_t unread = 0;  // messages
  };

  explicit SessionChannel(const SessionOptions& options) : options_(options) {}
  SessionChannel(const SessionChannel&) = delete;
  SessionChannel& operator=(const SessionChannel&) = delete;

  // A reload.
  void set_options(const SessionOptions& options) { options_ = options; }

  // In the order of joining, the owner first.
  const std::vector<Member>& members() const { return members_; }

  // Of those who were members when message `seq` was written and have not read beyond it since, the wanted
  // ones; of those who have left by now only where that was not forgotten.
  std::vector<std::string> members_at(std::uint64_t seq,
                                      const std::function<bool(std::string_view user_id)>& wanted) const;
  // Nobody will ask for those who were members before `seq` any more.
  void forget_leavers(std::uint64_t seq);

  // Whether this event is one that members who are away get in their inbox.
  static bool is_message(const Event& event);

  // Whether the user is a member. O(log members).
  bool owned_by(std::string_view user_id) const override;
  // Members, the rule, a grant or the API; `join` and `leave` have rules of their own.
  Result<void> admit(const Event& event, const Asker& asker) const override;
  Result<Taken> take(const Event& event, const Asker& asker) override;
  Result<Taken> judge(const Event& event, const Asker& asker) const override;
  // An event with a seq counts as the latest even where its content can't be read.
  void replay(const Event& event) override;
  std::string snapshot(std::int64_t now_ms) const override;
  std::string save() const override;
  bool restore(std::string_view saved) override;

 private:
  // Somebody who is a member, or wrote a message in the index, and is forgotten when neither holds.
  struct Person {
    bool member = false;
    std::uint32_t messages = 0;
  };
  using People = std::map<std::string, Person, std::less<>>;
  struct Message {
    std::uint64_t seq = 0;
    People::value_type* author = nullptr;  // null: the API, or anonymous
  };
  using Messages = std::deque<Message>;
  struct Leaver {
    std::string user_id;
    std::uint64_t read = 0;
    std::uint64_t left = 0;  // the seq of its `leave`
  };

  bool led_by(std::string_view user_id) const;
  Result<void> admit_join(const Event& event, const Asker& asker) const;
  Result<void> check(const SessionAction& action, const Event& event) const;
  Result<void> permit(const SessionAction& action, const Asker& asker) const;
  void apply(const SessionAction& action, const Event& event);
  void add_message(const Event& event);
  void remove_message(Messages::const_iterator at);
  void read_up_to(Member& member, std::uint64_t seq);
  void add_member(const NamedUser& user, std::uint64_t seq);
  void remove_member(std::string_view user_id, std::uint64_t seq);
  void forget_if_unused(People::iterator person);
  bool read_saved(std::string_view saved);
  bool read_leavers(const protocol::JsonValue* saved);

  // The end, and null, when there is none.
  Messages::const_iterator find_message(std::uint64_t seq) const;
  const Member* find_member(std::string_view user_id) const;
  Member* find_member(std::string_view user_id);

  SessionOptions options_;
  std::uint64_t last_seq_ = 0;
  bool founded_ = false;  // it has had a member: after that nobody becomes the owner by joining itself
  std::vector<Member> members_;
  Messages messages_;  // by seq
  People people_;
  std::deque<Leaver> leavers_;  // by `left`
};

}  // namespace tidewire::kinds
