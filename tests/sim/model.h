// The truth about every channel: what was published, in which order, and what of it is still kept.
//
// Written at the channels' homes, read by whoever checks what clients were told. It repeats the rules of
// protocol §4 and §5 in the plainest way, and nothing of the hub's code.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hub/messages.h"
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
  };
  std::string epoch;
  const hub::Namespace* ns = nullptr;
  std::vector<Written> log;  // seq 1 first

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
    bool ephemeral = false;
    std::int64_t ttl_ms = 0;
    std::uint64_t not_for = 0;
  };
  // A home has answered it; checks the answer and writes it down.
  void published(const Asked& asked, const Result<hub::Published>& answer, std::int64_t now_us);
  // A home has numbered an entry of a durable channel, which may yet fail.
  void appended(const std::string& channel, const log::Entry& entry) { stamps_[channel][entry.seq] = entry; }
  // A home has told of an epoch.
  void seen_epoch(const std::string& channel, const hub::Namespace& ns, const std::string& epoch,
                  std::int64_t now_us);

  // The channel's present life; null when it was never used.
  const Life* current(const std::string& channel) const;
  const Life* find(const std::string& channel, const std::string& epoch) const;
  // All channels that were ever used.
  std::vector<std::string> channels() const;

 private:
  struct Channel {
    std::vector<Life> lives;
    std::int64_t last_message_us = 0;
  };
  Life& life(const std::string& channel, const hub::Namespace& ns, const std::string& epoch,
             std::int64_t now_us);

  struct Key {
    std::string channel, epoch, scope, key;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Use {
    std::uint64_t seq;
    std::int64_t until_us;
  };
  std::int64_t window_ms_;
  std::map<std::string, Channel> channels_;
  std::map<Key, Use> keys_;
  std::map<std::string, std::map<std::uint64_t, log::Entry>> stamps_;
};

}  // namespace tidewire::sim
