// The end of the write-ahead log after a power failure. Of what was written and not yet synced any part
// may be there, with holes of zeros or rubbish in it; RocksDB refuses a store that has such an end, and
// steps in silence over a hole that looks empty. So before it opens the store, what is behind the first
// hole is cut off: nobody was told that it is safe.
//
// Invariant: nothing is cut that was acknowledged. Every write carries a note up to where all was synced
// when it was made; a hole in front of a write whose note reaches it is damage, and the store is refused.
// (Only of the very last write nobody can say whether it was torn, or was safe and has been damaged since.)
// Included by this folder's sources only; nobody may have the store open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"

namespace tidewire::log {

// RocksDB writes its log in blocks of so many bytes.
inline constexpr std::size_t kLogBlock = 32'768;

// The note of a write (WriteBatch::PutLogData): RocksDB's sequence number up to which all was synced.
std::string synced_note(std::uint64_t synced_to);

// Cuts the torn end off the write-ahead log in this directory, if there is one. `internal` where it is
// damaged, `unavailable` where it cannot be read or cut; the message does not name the directory. True when
// something was cut.
Result<bool> cut_torn_tail(const std::string& directory);

}  // namespace tidewire::log
