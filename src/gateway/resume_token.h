// The `id:` of an event stream: a position in each of its channels (protocol §8 `/sse`).
//
// base64url of a version byte and, per channel, 6 bytes of its name's hash, the seq and the epoch. The
// names themselves stand in the stream's address, to which the client comes back. Not signed: a position
// is the client's own word, as `since` is on a WebSocket, and opens nothing. Two names with one hash do
// no harm, since the epoch of the one is not that of the other. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/request.h"

namespace tidewire::gateway {

inline constexpr std::size_t kResumePositionsMax = 100;  // the channels of a stream

struct ResumePosition {
  std::uint64_t channel = 0;  // resume_key() of the name
  protocol::Position position;
  friend bool operator==(const ResumePosition&, const ResumePosition&) = default;
};

// 48 bits of a hash of the name, the same in every process.
std::uint64_t resume_key(std::string_view channel);

// At most kResumePositionsMax; epochs of at most 32 bytes, seqs below 2^53 (protocol §1).
std::string write_resume_token(std::span<const ResumePosition> positions);

// nullopt for whatever write_resume_token() has not written.
std::optional<std::vector<ResumePosition>> read_resume_token(std::string_view token);

}  // namespace tidewire::gateway
