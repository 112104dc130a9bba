#include "log/rocksdb/reader.h"

#include <algorithm>

namespace tidewire::log {

namespace {

constexpr std::size_t kExpiredScanMax = 256;  // entries that a single trimming looks at one by one

rocksdb::Status hole(std::uint64_t seq) {
  return rocksdb::Status::Corruption("entry " + std::to_string(seq) + " is missing or not readable");
}

Stored<std::uint64_t> id_in(std::string_view value) {
  if (value.size() != 8)
    return std::unexpected(rocksdb::Status::Corruption("a channel's id is not readable"));
  return take_u64(value);
}

Stored<Entry> read_entry(Store& store, std::uint64_t id, std::uint64_t seq) {
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = store.db().Get({}, store.entries(), seq_key(id, seq), &value);
  if (status.IsNotFound()) return std::unexpected(hole(seq));
  if (!status.ok()) return std::unexpected(status);
  auto entry = decode_entry(seq, view(value));
  if (!entry) return std::unexpected(hole(seq));
  return std::move(*entry);
}

}  // namespace

Stored<std::optional<std::uint64_t>> find_channel(Store& store, std::string_view name) {
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = store.db().Get({}, store.names(), slice(name), &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return std::unexpected(status);
  return id_in(view(value));
}

Stored<ChannelRecord> read_record(Store& store, std::uint64_t id) {
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = store.db().Get({}, store.channels(), channel_key(id), &value);
  if (!status.ok() && !status.IsNotFound()) return std::unexpected(status);
  auto record = status.ok() ? decode_record(view(value)) : std::nullopt;
  if (!record) return std::unexpected(rocksdb::Status::Corruption("the channel's record is not readable"));
  return std::move(*record);
}

Stored<Listed> read_list(Store& store, const List& list) {
  const bool all = list.of == List::Of::all;
  const std::string head(all ? std::string_view() : kUnderWay);
  const std::string prefix = head + list.prefix, after = head + list.after;
  const std::unique_ptr<rocksdb::Iterator> each(
      store.db().NewIterator({}, all ? store.names() : store.db().DefaultColumnFamily()));
  Listed listed{.number = list.number, .channels = {}, .looked_to = {}};
  std::string looked_to;
  std::size_t looks = 0;
  for (each->Seek(std::max(prefix, after)); each->Valid(); each->Next()) {
    std::string_view key = view(each->key());
    if (!key.starts_with(prefix)) break;
    if (key == after) continue;
    if (looks == list.looks_max || listed.channels.size() == list.channels_max) {
      listed.looked_to = std::move(looked_to);
      break;
    }
    ++looks;
    key.remove_prefix(head.size());
    looked_to = key;
    const Stored<std::optional<std::uint64_t>> id =
        all ? id_in(view(each->value())) : find_channel(store, key);
    if (id && !*id) continue;
    Stored<ChannelRecord> record = id ? read_record(store, **id) : std::unexpected(id.error());
    if (!record && record.error().IsCorruption()) continue;
    if (!record) return std::unexpected(record.error());
    if (record->last_seq == 0 || !(all || record->under_way)) continue;
    StoredChannel channel{.name = std::string(key),
                          .epoch = std::move(record->epoch),
                          .last_seq = record->last_seq,
                          .keep_from = record->keep_from};
    if (list.wanted(channel)) listed.channels.push_back(std::move(channel));
  }
  if (!each->status().ok()) return std::unexpected(each->status());
  return listed;
}

Stored<StoredSnapshot> read_snapshot(Store& store, std::uint64_t id) {
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = store.db().Get({}, store.snapshots(), channel_key(id), &value);
  if (status.IsNotFound()) return StoredSnapshot{};
  if (!status.ok()) return std::unexpected(status);
  if (value.size() < 8) return std::unexpected(rocksdb::Status::Corruption("the snapshot is not readable"));
  std::string_view bytes = view(value);
  StoredSnapshot snapshot;
  snapshot.seq = take_u64(bytes);
  snapshot.state = SharedBytes(bytes);
  return snapshot;
}

Stored<std::vector<Entry>> read_entries(Store& store, std::uint64_t id, std::uint64_t first,
                                        std::uint64_t last, std::size_t messages_max, std::size_t bytes_max,
                                        const rocksdb::Snapshot* as_of) {
  std::vector<Entry> entries;
  if (first > last || messages_max == 0) return entries;
  Range range(store, store.entries(), seq_key(id, first), seq_key(id, last + 1), as_of);
  std::size_t bytes = 0;
  std::uint64_t seq = first;
  for (range->SeekToFirst(); seq <= last && entries.size() < messages_max; range->Next(), ++seq) {
    if (!entries.empty() && bytes >= bytes_max) break;
    if (!range->Valid()) return std::unexpected(range->status().ok() ? hole(seq) : range->status());
    auto entry =
        seq_in(view(range->key()), id) == seq ? decode_entry(seq, view(range->value())) : std::nullopt;
    if (!entry) return std::unexpected(hole(seq));
    bytes += entry->body.size();
    entries.push_back(std::move(*entry));
  }
  return entries;
}

Stored<std::vector<Entry>> read_tail(Store& store, std::uint64_t id, const ChannelRecord& record,
                                     std::size_t messages_max, std::size_t bytes_max) {
  std::vector<Entry> entries;
  if (record.empty()) return entries;
  Range range(store, store.entries(), seq_key(id, record.first_seq), seq_key(id, record.last_seq + 1));
  std::size_t bytes = 0;
  std::uint64_t seq = record.last_seq;
  for (range->SeekToLast(); seq >= record.first_seq; range->Prev(), --seq) {
    if (entries.size() >= messages_max || bytes >= bytes_max) break;
    if (!range->Valid()) return std::unexpected(range->status().ok() ? hole(seq) : range->status());
    auto entry =
        seq_in(view(range->key()), id) == seq ? decode_entry(seq, view(range->value())) : std::nullopt;
    if (!entry) return std::unexpected(hole(seq));
    bytes += entry->body.size();
    entries.push_back(std::move(*entry));
  }
  std::ranges::reverse(entries);
  return entries;
}

Stored<std::vector<KeyUse>> read_keys(Store& store, std::uint64_t id, std::uint64_t from,
                                      std::int64_t now_ms) {
  std::vector<KeyUse> keys;
  Range range(store, store.keys(), seq_key(id, from), channel_key(id + 1));
  for (range->SeekToLast(); range->Valid() && keys.size() < kKeysMax; range->Prev()) {
    auto use = decode_use(view(range->key()), view(range->value()), id);
    if (!use) return std::unexpected(rocksdb::Status::Corruption("an idempotency key is not readable"));
    if (use->until_ms > now_ms) keys.push_back(std::move(*use));
  }
  if (!range->status().ok()) return std::unexpected(range->status());
  std::ranges::reverse(keys);
  return keys;
}

Stored<bool> has_keys(Store& store, std::uint64_t id, std::uint64_t from) {
  Range range(store, store.keys(), seq_key(id, from), channel_key(id + 1));
  range->SeekToFirst();
  if (!range->status().ok()) return std::unexpected(range->status());
  return range->Valid();
}

std::int64_t goes_at(const Entry& entry, const Retention& retention) {
  const std::int64_t by_age = retention.ttl_ms == 0 ? kNever : entry.timestamp_ms + retention.ttl_ms;
  return std::min(by_age, entry.expires_ms == 0 ? kNever : entry.expires_ms);
}

Stored<Kept> first_kept(Store& store, std::uint64_t id, std::uint64_t first, std::uint64_t last,
                        const Retention& retention, std::int64_t now_ms) {
  if (first > last) return Kept{.first_seq = first};
  const auto too_old = [&](const Entry& entry) {
    return retention.ttl_ms != 0 && entry.timestamp_ms + retention.ttl_ms <= now_ms;
  };
  Stored<Entry> entry = read_entry(store, id, first);
  if (entry && too_old(*entry)) {
    std::uint64_t old = first, young = last + 1;
    while (entry && young - old > 1) {
      const std::uint64_t middle = old + (young - old) / 2;
      entry = read_entry(store, id, middle);
      if (entry) (too_old(*entry) ? old : young) = middle;
    }
    first = young;
    if (entry && first <= last) entry = read_entry(store, id, first);
  }
  for (std::size_t scanned = 0; entry && first <= last; ++scanned) {
    const std::int64_t goes_ms = goes_at(*entry, retention);
    if (goes_ms > now_ms) return Kept{.first_seq = first, .goes_ms = goes_ms};
    ++first;
    if (scanned == kExpiredScanMax) break;
    if (first <= last) entry = read_entry(store, id, first);
  }
  if (!entry) return std::unexpected(entry.error());
  return Kept{.first_seq = first};
}

}  // namespace tidewire::log
