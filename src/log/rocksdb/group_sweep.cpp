// The slow pass over all stored channels, open or not: it drops what is too old, and in the end the channel.
#include "log/rocksdb/group.h"

namespace tidewire::log {

namespace {
constexpr int kSweepChannels = 128;
constexpr std::int64_t kEmptyForMs = std::int64_t{30} * 86'400'000;
}  // namespace

void Groups::stage(const Sweep& sweep) {
  if (store_.failed()) return;
  const std::unique_ptr<rocksdb::Iterator> each(store_.db().NewIterator({}, store_.channels()));
  each->Seek(sweep_from_);
  for (int count = 0; count < kSweepChannels && each->Valid(); each->Next()) {
    std::string_view key = view(each->key());
    if (key.size() != 8) continue;  // a name
    ++count;
    const std::uint64_t id = take_u64(key);
    if (const auto open = by_id_.find(id); open != by_id_.end()) {
      trim(*open->second, sweep.now_ms, Clear::all);
      if (open->second->staged.first_seq != open->second->stored.first_seq) touch(*open->second);
      continue;
    }
    const auto record = decode_record(view(each->value()));
    if (!record || record->damaged) continue;
    OpenChannel channel{.id = id, .name = {}, .stored = *record, .staged = *record};
    channel.touched = true;  // so that it does not end up among those that outlive this function
    trim(channel, sweep.now_ms, Clear::all);
    const std::string trimmed = encode_record(channel.staged);
    if (trimmed != view(each->value())) batch_.Put(store_.channels(), channel_key(id), trimmed);
    if (!nobody_misses(channel, sweep.now_ms)) continue;
    forget(channel);
    // Made again, it must not have the epoch of the entries that it had.
    if (channel.staged.last_seq != 0) store_.change_first_epochs(batch_);
  }
  sweep_from_ = each->Valid() ? each->key().ToString() : std::string();
}

// Whoever opens the channel again makes it under a new epoch, which refuses every position of the old one.
// So one that ever had an entry goes only when nobody is likely to come back with a position in it.
bool Groups::nobody_misses(const OpenChannel& channel, std::int64_t now_ms) {
  const ChannelRecord& record = channel.staged;
  if (record.damaged) return false;
  if (record.last_seq == 0) return record.mark == 0;
  if (!record.empty() || record.snapshot_seq != 0 || now_ms - record.touched_ms < kEmptyForMs) return false;
  const Stored<bool> keys = has_keys(store_, channel.id, record.keys_from);
  return keys && !*keys;
}

void Groups::forget(const OpenChannel& channel) {
  const std::uint64_t id = channel.id;
  std::string name;
  if (!store_.db().Get({}, store_.channels(), name_key(id), &name).ok()) return;
  // A damaged name has its channel under another id by now.
  const Stored<std::optional<std::uint64_t>> named = find_channel(store_, name);
  if (named && *named == id) {
    batch_.Delete(store_.names(), name);
    if (channel.staged.under_way) batch_.Delete(under_way_key(name));
  }
  batch_.Delete(store_.channels(), channel_key(id));
  batch_.Delete(store_.channels(), name_key(id));
  batch_.Delete(store_.snapshots(), channel_key(id));
}

}  // namespace tidewire::log
