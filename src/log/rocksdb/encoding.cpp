#include "log/rocksdb/encoding.h"

#include <algorithm>
#include <array>

namespace tidewire::log {

namespace {
constexpr std::size_t kU64 = 8;
constexpr std::size_t kRecordNumbers = 11;
constexpr std::uint64_t kDamaged = 1, kFolded = 2, kIsUnderWay = 4;

// Seven bits to a byte, the low ones first; the highest bit says that there are more.
void append_short(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
  to += static_cast<char>(value);
}

bool take_short(std::string_view& from, std::uint64_t& value) {
  value = 0;
  for (int shift = 0; !from.empty() && shift < 64; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(from.front());
    from.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}
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

std::string under_way_key(std::string_view name) {
  std::string key(kUnderWay);
  key += name;
  return key;
}

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
  value.reserve(2 * kU64 * kRecordNumbers + record.epoch.size());
  append_short(value, record.last_seq);
  // Counted back from the latest seq, since as a rule they are close to it.
  append_short(value, record.last_seq + 1 - record.first_seq);
  append_short(value, record.first_seq - record.cleared_to);
  append_short(value, record.last_seq + 1 - record.keys_from);
  append_short(value, record.last_seq - record.snapshot_seq);
  append_short(value, record.keep_from);
  append_short(value, record.mark);
  append_short(value, static_cast<std::uint64_t>(record.touched_ms));
  append_short(value, record.retention.messages);
  append_short(value, static_cast<std::uint64_t>(record.retention.ttl_ms));
  append_short(value, (record.damaged ? kDamaged : 0) | (record.retention.folded ? kFolded : 0) |
                          (record.under_way ? kIsUnderWay : 0));
  value += record.epoch;
  return value;
}

std::optional<ChannelRecord> decode_record(std::string_view value) {
  std::array<std::uint64_t, kRecordNumbers> numbers = {};
  for (std::uint64_t& number : numbers)
    if (!take_short(value, number)) return std::nullopt;
  const auto [last, kept, uncleared, keys, uncovered, keep_from, mark, touched, messages, ttl, flags] =
      numbers;
  if (value.empty() || last == UINT64_MAX || kept > last || uncleared > last - kept || keys > last ||
      uncovered > last)
    return std::nullopt;
  return ChannelRecord{.first_seq = last + 1 - kept,
                       .last_seq = last,
                       .cleared_to = last + 1 - kept - uncleared,
                       .keys_from = last + 1 - keys,
                       .snapshot_seq = last - uncovered,
                       .keep_from = keep_from,
                       .mark = mark,
                       .touched_ms = static_cast<std::int64_t>(touched),
                       .retention = {.messages = messages,
                                     .ttl_ms = static_cast<std::int64_t>(ttl),
                                     .folded = (flags & kFolded) != 0},
                       .damaged = (flags & kDamaged) != 0,
                       .under_way = (flags & kIsUnderWay) != 0,
                       .epoch = std::string(value)};
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
