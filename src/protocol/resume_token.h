// The `id:` of an event stream: a position in each of its channels (protocol §8 `/sse`).
//
// A version character, then per channel, in base64url, 6 bytes of its name's hash, 7 of the seq (both
// lowest first), the epoch behind its length, and zeroes up to a multiple of 3, so that a position that
// moves is a few characters of the text. The names themselves stand in the stream's address, to which the
// client comes back. Not signed: a position is the client's own word, as `since` is on a WebSocket, and
// opens nothing. Two names with one hash do no harm, since the epoch of the one is not that of the other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/request.h"

namespace tidewire::protocol {

inline constexpr std::size_t kResumePositionsMax = 100;  // the channels of a stream

struct ResumePosition {
  std::uint64_t channel = 0;  // resume_key() of the name
  Position position;
  friend bool operator==(const ResumePosition&, const ResumePosition&) = default;
};

// 48 bits of a hash of the name, the same in every process.
std::uint64_t resume_key(std::string_view channel);

// nullopt for whatever a ResumeToken has not written. Pure, any thread.
std::optional<std::vector<ResumePosition>> read_resume_token(std::string_view token);

// The positions of one stream, and their text. Owned by the stream.
class ResumeToken {
 public:
  // Adds the channel, or moves it to wherever this is. At most kResumePositionsMax channels; an epoch of at
  // most 32 bytes, a seq below 2^53 (protocol §1).
  void set(std::uint64_t channel, const Position& position);
  // Moves a channel that is in it forward, if this is forward.
  void advance(std::uint64_t channel, std::uint64_t seq);

  // Empty as long as there is no position.
  std::string_view text() const { return text_; }

 private:
  struct Place {
    std::uint64_t channel = 0;
    std::uint64_t seq = 0;
    std::size_t at = 0;  // in the text
    std::string epoch;
  };
  Place* find(std::uint64_t channel);

  std::vector<Place> places_;  // in the order of the text
  std::string text_;
};

}  // namespace tidewire::protocol
