// Trimming by count and age, and the mending of damaged channels.
#include <fmt/format.h>

#include "log/rocksdb/group.h"

namespace tidewire::log {

namespace {
constexpr std::uint64_t kClearMin = 64;
constexpr std::size_t kKeysScanMax = 512;
constexpr std::int64_t kKeysPauseMs = 10'000;
constexpr std::size_t kMendBytes = 1u << 20;

// Where a channel begins whose record is damaged: its entries tell, and where there are none its snapshot
// tells where they ended. `entries` is at the first.
std::uint64_t first_seq_of(Range& entries, std::uint64_t id, const Stored<StoredSnapshot>& snapshot) {
  const std::optional<std::uint64_t> first =
      entries->Valid() ? seq_in(view(entries->key()), id) : std::nullopt;
  if (first) return *first;
  const bool none = !entries->Valid() && entries->status().ok();
  return none && snapshot ? snapshot->seq + 1 : ChannelRecord().first_seq;
}

// From `first` up to the damage; answers the seq that is not there any more. Not all of a channel is held in
// memory: `copy` is written whenever it is long enough.
Result<std::uint64_t> copy_entries(Store& store, rocksdb::WriteBatch& copy, Range& entries,
                                   std::uint64_t from_id, std::uint64_t to_id, std::uint64_t first) {
  std::uint64_t next = first;
  for (; entries->Valid() && seq_in(view(entries->key()), from_id) == next; entries->Next(), ++next) {
    if (!decode_entry(next, view(entries->value()))) break;
    copy.Put(store.entries(), seq_key(to_id, next), entries->value());
    if (copy.GetDataSize() < kMendBytes) continue;
    if (const auto written = store.write(copy, Store::Sync::no); !written)
      return std::unexpected(written.error());
    copy.Clear();
  }
  return next;
}

// The idempotency keys of what stands before `end`.
void copy_keys(Store& store, rocksdb::WriteBatch& copy, std::uint64_t from_id, std::uint64_t to_id,
               std::uint64_t end) {
  Range uses(store, store.keys(), seq_key(from_id, 0), channel_key(from_id + 1));
  for (uses->SeekToFirst(); uses->Valid(); uses->Next()) {
    const auto use = decode_use(view(uses->key()), view(uses->value()), from_id);
    if (!use || use->seq >= end) break;
    copy.Put(store.keys(), use_key(to_id, *use), uses->value());
  }
}

// All but its name, which is another id's by now.
void remove_channel(Store& store, rocksdb::WriteBatch& batch, std::uint64_t id) {
  batch.Delete(store.channels(), channel_key(id));
  batch.Delete(store.channels(), name_key(id));
  batch.Delete(store.snapshots(), channel_key(id));
  batch.DeleteRange(store.entries(), channel_key(id), channel_key(id + 1));
  batch.DeleteRange(store.keys(), channel_key(id), channel_key(id + 1));
}
}  // namespace

// Logically at once, by the record's first_seq, which readers start from; on the disk by a range delete
// that is written only when it is worth its tombstone.
void Groups::trim(OpenChannel& channel, std::int64_t now_ms, Clear clear) {
  ChannelRecord& staged = channel.staged;
  staged.first_seq = staged.first_by_count();
  // Only what is stored can be read for its age.
  const std::uint64_t end = std::min(staged.needed_from(), channel.stored.last_seq + 1);
  if (now_ms >= channel.goes_ms && staged.first_seq < end) {
    const auto kept = first_kept(store_, channel.id, staged.first_seq, end - 1, staged.retention, now_ms);
    if (kept) {
      staged.first_seq = kept->first_seq;
      channel.goes_ms = kept->goes_ms;
    } else {
      channel.goes_ms = kNever;
      if (kept.error().IsCorruption()) found_damage(channel, kept.error());
    }
  }
  trim_keys(channel, now_ms);
  const std::uint64_t cleared = staged.first_seq - staged.cleared_to;
  if (cleared == 0 || (clear == Clear::when_worth_it && cleared < kClearMin)) return;
  batch_.DeleteRange(store_.entries(), seq_key(channel.id, staged.cleared_to),
                     seq_key(channel.id, staged.first_seq));
  staged.cleared_to = staged.first_seq;
  touch(channel);
}

void Groups::trim_keys(OpenChannel& channel, std::int64_t now_ms) {
  if (now_ms < channel.keys_check_ms) return;
  const std::string lower = seq_key(channel.id, channel.staged.keys_from);
  Range each(store_, store_.keys(), lower, seq_key(channel.id, channel.stored.last_seq + 1));
  std::uint64_t keys_from = channel.stored.last_seq + 1;
  channel.keys_check_ms = now_ms + kKeysPauseMs;
  std::size_t scanned = 0;
  for (each->SeekToFirst(); each->Valid(); each->Next()) {
    const auto use = decode_use(view(each->key()), view(each->value()), channel.id);
    if (!use) return;  // damaged; opening will find it too
    if (use->until_ms <= now_ms && ++scanned <= kKeysScanMax) continue;
    keys_from = use->seq;
    channel.keys_check_ms = use->until_ms <= now_ms ? now_ms : std::max(use->until_ms, now_ms + kKeysPauseMs);
    break;
  }
  if (!each->status().ok() || scanned == 0 || keys_from <= channel.staged.keys_from) return;
  batch_.DeleteRange(store_.keys(), lower, seq_key(channel.id, keys_from));
  channel.staged.keys_from = keys_from;
  touch(channel);
}

void Groups::found_damage(OpenChannel& channel, const rocksdb::Status& status) {
  const std::string name = channel.name.empty() ? fmt::format("channel {}", channel.id) : channel.name;
  store_.note_damage(fmt::format("{}: {}", name, status.ToString()));
  mark_damaged(channel);
}

// So that it is mended when it is opened the next time.
void Groups::mark_damaged(OpenChannel& channel) {
  channel.staged.damaged = channel.stored.damaged = true;
  if (store_.failed() || channel.stored.epoch.empty()) return;
  rocksdb::WriteBatch mark;
  mark.Put(store_.channels(), channel_key(channel.id), encode_record(channel.stored));
  // If this fails the next write fails too, and says so.
  (void)store_.write(mark, Store::Sync::no);
}

// By a read, some time ago: the channel may have been closed since, or mended, which gave it another id.
void Groups::stage(const FoundDamage& found) {
  if (const auto open = by_id_.find(found.id); open != by_id_.end()) return mark_damaged(*open->second);
  const Stored<ChannelRecord> record = read_record(store_, found.id);
  if (!record || record->damaged) return;
  OpenChannel closed;
  closed.id = found.id;
  closed.stored = *record;
  mark_damaged(closed);
}

// Protocol §6, store trouble: what stands before the damage keeps its seqs, what stands behind it is
// gone, and the epoch is new. The channel gets a new id and its entries are copied there, so that the
// damaged blocks are never read again.
Result<void> Groups::mend(OpenChannel& channel, const Open& open, std::int64_t now_ms) {
  if (store_.failed()) return std::unexpected(store_.failure());
  const std::uint64_t old_id = channel.id;
  const Stored<ChannelRecord> old = read_record(store_, old_id);
  const Stored<StoredSnapshot> snapshot = read_snapshot(store_, old_id);
  const std::uint64_t id = store_.take_id();
  Range entries(store_, store_.entries(), seq_key(old_id, old ? old->first_seq : ChannelRecord().first_seq),
                channel_key(old_id + 1));
  entries->SeekToFirst();

  ChannelRecord mended;
  mended.epoch = open.epoch;
  mended.retention = open.retention;
  mended.touched_ms = now_ms;
  mended.first_seq = mended.cleared_to = old ? old->first_seq : first_seq_of(entries, old_id, snapshot);
  rocksdb::WriteBatch copy;
  const Result<std::uint64_t> next = copy_entries(store_, copy, entries, old_id, id, mended.first_seq);
  if (!next) return std::unexpected(next.error());
  mended.last_seq = *next - 1;
  if (old) {
    mended.mark = old->mark;
    mended.under_way = old->under_way;
    // It may point behind the damage, and the seqs from there on are given out again.
    mended.keep_from = std::min(old->keep_from, *next);
  }
  copy_keys(store_, copy, old_id, id, *next);
  if (snapshot && snapshot->state && snapshot->seq < *next) {
    mended.snapshot_seq = snapshot->seq;
    std::string value = channel_key(snapshot->seq);
    value += snapshot->state.view();
    copy.Put(store_.snapshots(), channel_key(id), value);
  }
  copy.Put(store_.names(), slice(open.name), channel_key(id));
  copy.Put(store_.channels(), channel_key(id), encode_record(mended));
  copy.Put(store_.channels(), name_key(id), slice(open.name));
  if (!mended.under_way) copy.Delete(under_way_key(open.name));
  remove_channel(store_, copy, old_id);
  if (const auto written = store_.write(copy, Store::Sync::yes); !written) return written;
  channel = OpenChannel{};
  channel.id = id;
  channel.name = open.name;
  return {};
}

}  // namespace tidewire::log
