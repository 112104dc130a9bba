// The truth about every channel: what was published, in which order, and what of it is still kept.
//
// Written at the channels' homes, read by whoever checks what clients were told. It repeats the rules of
// protocol §4 and §5 in the plainest way, and nothing of the hub's code.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hub/messages.h"
#include "kind_state.h"
#include "log/log.h"

namespace tidewire::sim {

// One life of a channel: a numbering under one epoch.
struct Life {
  struct Written {
    std::int64_t at_us = 0;       // when it was shown
    std::int64_t stamped_ms = 0;  // its timestamp
    std::int64_t expires_ms = 0;  // wall clock; 0: never
    std::string tail;             // what follows seq and timestamp in the delivery
    std::uint64_t not_for = 0;    // the connection that asked for no echo; 0: none
    bool answered = false;        // its publisher was told
  };
  std::string epoch;
  const hub::Namespace* ns = nullptr;
  std::vector<Written> log;                   // seq 1 first
  mutable std::deque<KindState> states = {};  // as far as somebody asked: after seq 0, 1, ...

  // The delivery of a message without what its kind of delivery adds.
  nlohmann::json event(std::uint64_t seq) const;
  // Of a folding channel.
  const KindState& state_at(std::uint64_t seq) const;

  const Written* find(std::uint64_t seq) const {
    return seq == 0 || seq > log.size() ? nullptr : &log[seq - 1];
  }
  std::uint64_t latest() const { return log.size(); }
  std::uint64_t latest_at(std::int64_t us) const;
  // The oldest seq that is kept at that moment; latest_at() + 1 when there is none.
  std::uint64_t first_kept_at(std::int64_t us) const;
  bool expired_at(std::uint64_t seq, std::int64_t us) const;
  bool gone_at(std::uint64_t seq, std::int64_t us) const {
    return seq < first_kept_at(us) || expired_at(seq, us);
  }
};

class Model {
 public:
  explicit Model(std::int64_t idempotency_window_ms) : window_ms_(idempotency_window_ms) {}

  // What a home was asked to publish.
  struct Asked {
    std::string channel, scope, key, tail;
    const hub::Namespace* ns = nullptr;
    std::string user = {};  // empty: anonymous or the server
    bool server = false;
    bool ephemeral = false;
    std::int64_t ttl_ms = 0;
    std::uint64_t not_for = 0;
    std::optional<std::uint64_t> if_seq = {};
    std::int64_t at_us = 0;
  };
  // A home has answered it; checks the answer.
  void published(const Asked& asked, const Result<hub::Published>& answer, std::int64_t now_us);
  // A home is asked for something that its author does not want back.
  void unechoed(const Asked& asked) { unechoed_[{asked.channel, asked.tail}] = asked.not_for; }
  // A home has taken it, in memory.
  void taken(const Asked& asked, std::uint64_t seq, std::int64_t now_us);
  // A home has answered an `ack` of this connection.
  void acked(const std::string& channel, const hub::Namespace& ns, const std::string& tail,
             std::uint64_t connection, const hub::Acked& answer, std::int64_t now_us);
  // The server has ended a run in memory by itself.
  void orphaned(const std::string& channel, std::int64_t now_us);

  // A home has numbered entries of a durable channel, which may yet fail.
  void appended(const std::string& channel, const log::Append& append);
  // What a home is told by its log, before it acts on it.
  void opened(const std::string& channel, const hub::Namespace& ns, const log::Opened& opened,
              std::int64_t now_us);
  void committed(const std::string& channel, std::uint64_t last_seq, std::int64_t now_us);
  // The whole server has ended, and this is what the disk holds of a channel.
  void crashed();
  void found_on_disk(const std::string& channel, const hub::Namespace& ns, const log::Opened& opened,
                     std::int64_t now_us);
  // A home has told of an epoch.
  void seen_epoch(const std::string& channel, const hub::Namespace& ns, const std::string& epoch,
                  std::int64_t now_us);

  // The channel's present life; null when it was never used, or not since it ended with the server.
  const Life* current(const std::string& channel) const;
  const Life* find(const std::string& channel, const std::string& epoch) const;
  // All channels that have a present life.
  std::vector<std::string> channels() const;

 private:
  struct Channel {
    std::deque<Life> lives;
    std::int64_t last_message_us = 0;
    bool ended = false;  // with the server, where it lives in memory
  };
  Life& life(const std::string& channel, const hub::Namespace& ns, const std::string& epoch,
             std::int64_t now_us);

  struct Stamp {
    log::Entry entry;
    std::optional<log::KeyUse> key;
  };
  struct Key {
    std::string channel, epoch, name;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Use {
    std::uint64_t seq;
    std::int64_t until_ms;    // until then a repeat must be answered with it
    std::int64_t at_most_ms;  // and until then it may
  };
  void write(const std::string& channel, Life& life, Life::Written written, const log::KeyUse* key,
             std::int64_t now_us);
  void write_stamp(const std::string& channel, Life& life, std::uint64_t seq, std::int64_t now_us);
  void check_refusal(const Asked& asked, const Error& error) const;
  void check_rules(const Asked& asked, const Life& life, std::uint64_t seq) const;

  std::int64_t window_ms_;
  std::map<std::string, Channel> channels_;
  std::map<Key, Use> keys_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> unechoed_;  // by channel and tail
  std::map<std::string, std::map<std::uint64_t, Stamp>> stamps_;
};

}  // namespace tidewire::sim
