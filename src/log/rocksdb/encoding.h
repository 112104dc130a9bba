// How the store's keys and values are laid out. Numbers in keys are big endian, so that a channel's
// entries lie side by side in the order of their seqs. Pure.
//
//   names        channel name                      -> channel id
//   channels     channel id                        -> ChannelRecord
//                channel id, 'n'                   -> channel name
//   entries      channel id, seq                   -> timestamp, expiry, body
//   keys         channel id, seq, key's name       -> until
//   snapshots    channel id                        -> seq, state
//   revocations  tenant, zero byte, user           -> before
//   (default)    "format", "next_id", "epoch_seed"
//                "under_way/", channel name        -> nothing; where its record says so
//
// A value that cannot be read back is damage: decode functions answer nothing then.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "log/log.h"

namespace tidewire::log {

struct ChannelRecord {
  std::uint64_t first_seq = 1;
  std::uint64_t last_seq = 0;
  std::uint64_t cleared_to = 1;  // entries below are deleted; those from here to first_seq - 1 soon will be
  std::uint64_t keys_from = 1;   // no idempotency key below this seq is kept
  std::uint64_t snapshot_seq = 0;
  std::uint64_t keep_from = 0;  // Append::keep_from, 0: none
  std::uint64_t mark = 0;
  std::int64_t touched_ms = 0;  // unix, of the last append
  Retention retention;
  bool damaged = false;    // found by a Read; mended when the channel is opened again
  bool under_way = false;  // Append::under_way
  std::string epoch;

  bool empty() const { return first_seq > last_seq; }
  // The first seq that no bound may trim (Retention::folded); last_seq + 1 when all may go.
  std::uint64_t needed_from() const;
  // What first_seq becomes by the bound on the count.
  std::uint64_t first_by_count() const;
};

inline constexpr std::string_view kFormat = "tidewire-log-2";
inline constexpr std::string_view kUnderWay = "under_way/";

void append_u64(std::string& to, std::uint64_t value);
// Takes eight bytes off the front, which must be there.
std::uint64_t take_u64(std::string_view& from);

std::string channel_key(std::uint64_t id);
std::string name_key(std::uint64_t id);
std::string seq_key(std::uint64_t id, std::uint64_t seq);
std::string under_way_key(std::string_view name);
// The seq within an entry's or idempotency key's key; nothing if that belongs to another channel.
std::optional<std::uint64_t> seq_in(std::string_view key, std::uint64_t id);

std::string encode_record(const ChannelRecord& record);
std::optional<ChannelRecord> decode_record(std::string_view value);

// What stands before an entry's body.
std::string encode_entry_head(const Entry& entry);
std::optional<Entry> decode_entry(std::uint64_t seq, std::string_view value);

std::string use_key(std::uint64_t id, const KeyUse& use);
std::optional<KeyUse> decode_use(std::string_view key, std::string_view value, std::uint64_t id);

std::string revocation_key(const Revocation& revocation);
std::optional<Revocation> decode_revocation(std::string_view key, std::string_view value);

}  // namespace tidewire::log
