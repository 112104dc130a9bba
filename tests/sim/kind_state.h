// What a folding channel's events come to (protocol §7), in the simulator's own plain words: the model
// folds a channel's whole life with it, a client what it was sent.
//
// A client that began with a snapshot does not know everything before it; what it then can't know is
// null, and equals anything.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "hub/types.h"

namespace tidewire::sim {

inline constexpr std::int64_t kInboxTtlMs = 20'000;
inline constexpr std::size_t kInboxEntries = 6;

// A patch that does not apply.
struct Inapplicable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class KindState {
 public:
  using Json = nlohmann::json;
  struct InboxEntry {
    int priority = 0;
    std::uint64_t seq = 0;
    std::int64_t expires_ms = 0;
    friend auto operator<=>(const InboxEntry&, const InboxEntry&) = default;
  };

  explicit KindState(hub::Kind kind);
  static KindState of_snapshot(hub::Kind kind, std::uint64_t seq, const Json& data);

  std::uint64_t seq() const { return seq_; }
  // An event as it is delivered, perhaps standing for several. Throws Failure, or Inapplicable.
  void apply(const Json& event, std::int64_t expires_ms);
  // What a snapshot that was made between two moments (unix ms) says differently; empty: nothing.
  std::string differs(const Json& snapshot, std::int64_t from_ms, std::int64_t to_ms) const;
  // What a client's copy says differently.
  std::string differs(const KindState& copy) const;

  // Of a session.
  bool is_member(const std::string& user) const;
  std::string owner() const;
  std::string author_of(std::uint64_t message) const;  // empty: none, or no message
  std::vector<std::string> members() const;
  // Of a run.
  bool ended() const;
  const std::string& creator() const { return creator_; }
  // Of an inbox, in the order of delivery.
  const std::set<InboxEntry>& pending() const { return pending_; }

 private:
  void apply_document(const Json& event);
  void apply_session(const Json& event);
  void apply_inbox(const Json& event, std::int64_t expires_ms);
  void apply_run(const Json& event);

  hub::Kind kind_;
  std::uint64_t seq_ = 0;
  Json value_;
  std::uint64_t complete_from_ = 0;                // all messages behind it are known
  std::map<std::uint64_t, std::string> messages_;  // of a session, with their authors
  std::string creator_;
  std::set<InboxEntry> pending_;
};

// A user's id in the form that is its identity.
std::string user_text(const nlohmann::json& id);
int priority_of(const nlohmann::json& event);

}  // namespace tidewire::sim
