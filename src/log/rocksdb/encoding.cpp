#include "log/rocksdb/encoding.h"

#include <algorithm>

namespace tidewire::log {

namespace {
constexpr std::size_t kU64 = 8;
constexpr std::size_t kRecordHead = 11 * kU64;
constexpr std::uint64_t kDamaged = 1, kFolded = 2;
}  // namespace

std::uint64_t ChannelRecord::needed_from() const {
  if (!retention.folded) return last_seq + 1;
  return std::min(snapshot_seq + 1, keep_from == 0 ? UINT64_MAX : keep_from);
}

std::uint64_t ChannelRecord::first_by_count() const {
  const std::uint64_t by_count = last_seq + 1 - std::min<std::uint64_t>(retention.messages, last_seq);
  return std::max(first_seq, std::min(by_count, needed_from()));
}

void append_u64(std::string& to, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) to += static_cast<char>(value >> shift & 0xff);
}

std::uint64_t take_u64(std::string_view& from) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kU64; ++i) value = value << 8 | static_cast<std::uint8_t>(from[i]);
  from.remove_prefix(kU64);
  return value;
}

std::string channel_key(std::uint64_t id) {
  std::string key;
  append_u64(key, id);
  return key;
}

std::string name_key(std::uint64_t id) { return channel_key(id) + 'n'; }

std::string seq_key(std::uint64_t id, std::uint64_t seq) {
  std::string key;
  key.reserve(2 * kU64);
  append_u64(key, id);
  append_u64(key, seq);
  return key;
}

std::optional<std::uint64_t> seq_in(std::string_view key, std::uint64_t id) {
  if (key.size() < 2 * kU64 || take_u64(key) != id) return std::nullopt;
  return take_u64(key);
}

std::string encode_record(const ChannelRecord& record) {
  std::string value;
  value.reserve(kRecordHead + record.epoch.size());
  append_u64(value, record.first_seq);
  append_u64(value, record.last_seq);
  append_u64(value, record.cleared_to);
  append_u64(value, record.keys_from);
  append_u64(value, record.snapshot_seq);
  append_u64(value, record.keep_from);
  append_u64(value, record.mark);
  append_u64(value, static_cast<std::uint64_t>(record.touched_ms));
  append_u64(value, record.retention.messages);
  append_u64(value, static_cast<std::uint64_t>(record.retention.ttl_ms));
  append_u64(value, (record.damaged ? kDamaged : 0) | (record.retention.folded ? kFolded : 0));
  value += record.epoch;
  return value;
}

std::optional<ChannelRecord> decode_record(std::string_view value) {
  if (value.size() <= kRecordHead) return std::nullopt;
  ChannelRecord record;
  record.first_seq = take_u64(value);
  record.last_seq = take_u64(value);
  record.cleared_to = take_u64(value);
  record.keys_from = take_u64(value);
  record.snapshot_seq = take_u64(value);
  record.keep_from = take_u64(value);
  record.mark = take_u64(value);
  record.touched_ms = static_cast<std::int64_t>(take_u64(value));
  record.retention.messages = take_u64(value);
  record.retention.ttl_ms = static_cast<std::int64_t>(take_u64(value));
  const std::uint64_t flags = take_u64(value);
  record.damaged = (flags & kDamaged) != 0;
  record.retention.folded = (flags & kFolded) != 0;
  record.epoch = value;
  const bool sane = record.cleared_to <= record.first_seq && record.first_seq <= record.last_seq + 1 &&
                    record.snapshot_seq <= record.last_seq;
  return sane ? std::optional(std::move(record)) : std::nullopt;
}

std::string encode_entry_head(const Entry& entry) {
  std::string head;
  append_u64(head, static_cast<std::uint64_t>(entry.timestamp_ms));
  append_u64(head, static_cast<std::uint64_t>(entry.expires_ms));
  return head;
}

std::optional<Entry> decode_entry(std::uint64_t seq, std::string_view value) {
  if (value.size() < 2 * kU64) return std::nullopt;
  Entry entry{.seq = seq, .body = {}};
  entry.timestamp_ms = static_cast<std::int64_t>(take_u64(value));
  entry.expires_ms = static_cast<std::int64_t>(take_u64(value));
  entry.body = SharedBytes(value);
  return entry;
}

std::string use_key(std::uint64_t id, const KeyUse& use) {
  std::string key = seq_key(id, use.seq);
  key += use.name;
  return key;
}

std::optional<KeyUse> decode_use(std::string_view key, std::string_view value, std::uint64_t id) {
  const auto seq = seq_in(key, id);
  if (!seq || value.size() != kU64) return std::nullopt;
  return KeyUse{.name = std::string(key.substr(2 * kU64)),
                .seq = *seq,
                .until_ms = static_cast<std::int64_t>(take_u64(value))};
}

std::string revocation_key(const Revocation& revocation) {
  return revocation.tenant + '\0' + revocation.user_id;
}

std::optional<Revocation> decode_revocation(std::string_view key, std::string_view value) {
  const std::size_t zero = key.find('\0');
  if (zero == std::string_view::npos || value.size() != kU64) return std::nullopt;
  return Revocation{.tenant = std::string(key.substr(0, zero)),
                    .user_id = std::string(key.substr(zero + 1)),
                    .before_ms = static_cast<std::int64_t>(take_u64(value))};
}

}  // namespace tidewire::log
