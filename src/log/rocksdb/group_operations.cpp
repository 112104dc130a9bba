// What each operation adds to a group.
#include "log/rocksdb/group.h"

namespace tidewire::log {

namespace {

Failed refused(Handle channel, Failed::What what, std::uint64_t number, Error error) {
  return Failed{.channel = channel, .what = what, .number = number, .error = std::move(error)};
}

Error unavailable(const char* why) { return fail(ErrorCode::unavailable, why).error(); }

bool follow_each_other(const std::vector<Entry>& entries, std::uint64_t last_seq) {
  for (const Entry& entry : entries)
    if (entry.seq != ++last_seq) return false;
  return !entries.empty();
}

}  // namespace

Groups::OpenChannel* Groups::find(std::uint16_t shard, Handle handle) {
  const auto found = shards_[shard].open.find(handle.bits());
  return found == shards_[shard].open.end() ? nullptr : found->second.get();
}

void Groups::touch(OpenChannel& channel) {
  if (channel.touched) return;
  channel.touched = true;
  touched_.push_back(&channel);
}

Groups::Staged Groups::stage(std::uint16_t shard, Open& open, std::int64_t now_ms) {
  const auto refuse = [&](Error error) {
    answer(shard, refused(open.channel, Failed::What::open, 0, std::move(error)));
    return Staged::yes;
  };
  TIDEWIRE_CHECK(!find(shard, open.channel));
  auto channel = std::make_unique<OpenChannel>();
  channel->name = open.name;
  Stored<std::optional<std::uint64_t>> id = find_channel(store_, open.name);
  if (!id && !id.error().IsCorruption()) return refuse(unavailable("the channel's data could not be read"));
  bool lazily = open.lazily;
  if (!id) {  // what it had cannot be found any more
    store_.note_damage(open.name + ": " + id.error().ToString());
    id = std::nullopt;
    lazily = false;
  }
  std::optional<Opened> opened;
  if (id->has_value()) {
    channel->id = **id;
    Stored<Opened> loaded = load(*channel, open, now_ms);
    if (!loaded && loaded.error().IsCorruption()) {
      found_damage(*channel, loaded.error());
      if (const auto mended = mend(*channel, open, now_ms); !mended) return refuse(mended.error());
      loaded = load(*channel, open, now_ms);
    }
    if (!loaded) return refuse(unavailable("the channel's data could not be read"));
    opened = std::move(*loaded);
  } else {
    if (store_.failed()) return refuse(store_.failure());
    if (lazily) {
      create_later(*channel, open);
    } else {
      create(*channel, open);
      uncertain_.push_back({.shard = shard,
                            .index = shards_[shard].outcomes.size(),
                            .otherwise = refused(open.channel, Failed::What::open, 0, {})});
    }
    opened = Opened{.channel = open.channel,
                    .epoch = channel->staged.epoch,
                    .first_seq = 1,
                    .last_seq = 0,
                    .tail = {},
                    .keys = {},
                    .snapshot_seq = 0,
                    .snapshot = {},
                    .mark = 0};
  }
  answer(shard, std::move(*opened));
  by_id_[channel->id] = channel.get();
  shards_[shard].open[open.channel.bits()] = std::move(channel);
  return Staged::yes;
}

void Groups::create(OpenChannel& channel, const Open& open) {
  channel.id = store_.take_id();
  channel.staged.epoch = open.epoch;
  channel.staged.retention = open.retention;
  channel.goes_ms = channel.keys_check_ms = kNever;
  channel.created = true;
  bear(channel);
}

void Groups::create_later(OpenChannel& channel, const Open& open) {
  channel.id = store_.take_id();
  channel.staged.epoch = open.known_epoch.empty() ? store_.first_epoch_of(open.name) : open.known_epoch;
  channel.staged.retention = open.retention;
  channel.stored = channel.staged;
  channel.goes_ms = channel.keys_check_ms = kNever;
  channel.unborn = true;
}

// Its names and its record, in the group that is being made.
void Groups::bear(OpenChannel& channel) {
  batch_.Put(store_.names(), slice(channel.name), channel_key(channel.id));
  batch_.Put(store_.channels(), name_key(channel.id), slice(channel.name));
  channel.unborn = false;
  touch(channel);
  sync_ = Store::Sync::yes;
}

// The record tells where there is a key already: few channels ever have one.
void Groups::note_under_way(OpenChannel& channel, bool under_way) {
  if (under_way == std::exchange(channel.staged.under_way, under_way)) return;
  const std::string key = under_way_key(channel.name);
  if (under_way)
    batch_.Put(key, rocksdb::Slice());
  else
    batch_.Delete(key);
}

Stored<Opened> Groups::load(OpenChannel& channel, const Open& open, std::int64_t now_ms) {
  Stored<ChannelRecord> record = read_record(store_, channel.id);
  if (!record) return std::unexpected(record.error());
  if (record->damaged) return std::unexpected(rocksdb::Status::Corruption("found damaged by a read"));
  // All reads come first: once something of it is staged, the channel must be there to the group's end.
  const std::uint64_t id = channel.id;
  ChannelRecord trimmed = *record;
  trimmed.retention = open.retention;
  trimmed.first_seq = trimmed.first_by_count();
  const Stored<Kept> kept =
      first_kept(store_, id, trimmed.first_seq, trimmed.needed_from() - 1, open.retention, now_ms);
  if (!kept) return std::unexpected(kept.error());
  trimmed.first_seq = kept->first_seq;
  Stored<std::vector<Entry>> tail = read_tail(store_, id, trimmed, open.tail_messages, open.tail_bytes);
  if (!tail) return std::unexpected(tail.error());
  Stored<std::vector<KeyUse>> keys = read_keys(store_, id, record->keys_from, now_ms);
  if (!keys) return std::unexpected(keys.error());
  Stored<StoredSnapshot> snapshot = read_snapshot(store_, id);
  if (!snapshot) return std::unexpected(snapshot.error());
  if (snapshot->seq != record->snapshot_seq)
    return std::unexpected(rocksdb::Status::Corruption("the snapshot is missing"));

  const bool changed = encode_record(trimmed) != encode_record(*record);
  channel.stored = std::move(*record);
  channel.staged = std::move(trimmed);
  channel.goes_ms = kept->goes_ms;
  if (changed && !store_.failed()) {
    touch(channel);
    trim(channel, now_ms, Clear::when_worth_it);
  }
  return Opened{.channel = open.channel,
                .epoch = channel.staged.epoch,
                .first_seq = channel.staged.first_seq,
                .last_seq = channel.staged.last_seq,
                .tail = std::move(*tail),
                .keys = std::move(*keys),
                .snapshot_seq = snapshot->seq,
                .snapshot = std::move(snapshot->state),
                .mark = channel.staged.mark};
}

Groups::Staged Groups::stage(std::uint16_t shard, Append& append, std::int64_t now_ms) {
  OpenChannel* channel = find(shard, append.channel);
  const auto refuse = [&](Error error) {
    answer(shard, refused(append.channel, Failed::What::append, append.number, std::move(error)));
    return Staged::yes;
  };
  if (!channel) return refuse(unavailable("the channel is not open"));
  if (store_.failed()) return refuse(store_.failure());
  if (append.entries.empty()) return refuse(unavailable("too much is waiting for the disk"));
  ChannelRecord& staged = channel->staged;
  if (!follow_each_other(append.entries, staged.last_seq))
    return refuse(unavailable("an earlier message could not be stored"));

  if (channel->unborn) bear(*channel);
  const bool was_empty = staged.empty();
  const std::uint64_t last = append.entries.back().seq;
  for (const Entry& entry : append.entries) {
    const bool pushed_out = last - entry.seq >= staged.retention.messages && !staged.retention.folded;
    if (pushed_out) continue;  // by its own successors
    const std::string key = seq_key(channel->id, entry.seq);
    const std::string head = encode_entry_head(entry);
    const rocksdb::Slice key_part(key);
    const rocksdb::Slice value_parts[] = {head, slice(entry.body.view())};
    batch_.Put(store_.entries(), rocksdb::SliceParts(&key_part, 1), rocksdb::SliceParts(value_parts, 2));
  }
  for (const KeyUse& use : append.keys) {
    std::string until;
    append_u64(until, static_cast<std::uint64_t>(use.until_ms));
    batch_.Put(store_.keys(), use_key(channel->id, use), until);
    channel->keys_check_ms = std::min(channel->keys_check_ms, use.until_ms);
  }
  staged.last_seq = last;
  if (append.keep_from != 0) staged.keep_from = append.keep_from;
  staged.mark = std::max(staged.mark, append.mark);
  staged.touched_ms = now_ms;
  note_under_way(*channel, append.under_way);
  if (was_empty) channel->goes_ms = goes_at(append.entries.front(), staged.retention);
  touch(*channel);
  trim(*channel, now_ms, Clear::when_worth_it);
  sync_ = Store::Sync::yes;
  entries_staged_ += append.entries.size();
  uncertain_.push_back({.shard = shard,
                        .index = shards_[shard].outcomes.size(),
                        .otherwise = refused(append.channel, Failed::What::append, append.number, {})});
  answer(shard, Committed{.channel = append.channel, .first_seq = staged.first_seq, .last_seq = last});
  return Staged::yes;
}

Groups::Staged Groups::stage(std::uint16_t shard, Read& read, std::int64_t) {
  OpenChannel* channel = find(shard, read.channel);
  if (!channel) {
    answer(shard,
           refused(read.channel, Failed::What::read, read.number, unavailable("the channel is not open")));
    return Staged::yes;
  }
  const std::uint64_t last_seq = std::min(read.up_to, channel->staged.last_seq);
  if (last_seq <= channel->stored.last_seq) {
    pages_.add(page_of(shard, *channel, std::move(read), last_seq));
    return Staged::yes;
  }
  channel->read_waits = true;
  late_reads_.push_back({.shard = shard, .channel = channel, .read = read, .last_seq = last_seq});
  return Staged::yes;
}

Groups::Staged Groups::stage(std::uint16_t shard, SaveMark& save, std::int64_t) {
  OpenChannel* channel = find(shard, save.channel);
  if (!channel || channel->unborn || store_.failed() || save.mark <= channel->staged.mark) return Staged::yes;
  channel->staged.mark = save.mark;
  touch(*channel);
  return Staged::yes;
}

Groups::Staged Groups::stage(std::uint16_t shard, SaveSnapshot& save, std::int64_t) {
  OpenChannel* channel = find(shard, save.channel);
  if (!channel || channel->unborn || store_.failed()) return Staged::yes;
  // One that is older than what is there would leave a hole between it and the entries that are kept.
  if (save.seq > channel->staged.last_seq || save.seq < channel->staged.snapshot_seq) return Staged::yes;
  channel->staged.snapshot_seq = save.seq;
  const std::string key = channel_key(channel->id);
  const std::string seq = channel_key(save.seq);
  const rocksdb::Slice key_part(key);
  const rocksdb::Slice value_parts[] = {seq, slice(save.state.view())};
  batch_.Put(store_.snapshots(), rocksdb::SliceParts(&key_part, 1), rocksdb::SliceParts(value_parts, 2));
  touch(*channel);
  return Staged::yes;
}

Groups::Staged Groups::stage(std::uint16_t shard, Retain& retain, std::int64_t now_ms) {
  OpenChannel* channel = find(shard, retain.channel);
  if (!channel || store_.failed()) return Staged::yes;
  channel->staged.retention = retain.retention;
  if (channel->unborn) return Staged::yes;
  channel->goes_ms = now_ms;  // another age may be the bound now
  touch(*channel);
  trim(*channel, now_ms, Clear::when_worth_it);
  return Staged::yes;
}

Groups::Staged Groups::stage(std::uint16_t shard, Close& close, std::int64_t) {
  OpenChannel* channel = find(shard, close.channel);
  if (!channel) return Staged::yes;
  // Who opens it next reads the store, so what is staged must have arrived there.
  if (channel->touched || channel->read_waits) return Staged::no;
  by_id_.erase(channel->id);
  shards_[shard].open.erase(close.channel.bits());
  return Staged::yes;
}

Groups::Staged Groups::stage(std::uint16_t shard, List& list, std::int64_t) {
  pages_.add(ListWanted{.shard = shard, .list = std::move(list)});
  return Staged::yes;
}

void Groups::stage(SaveRevocation&& save) {
  if (store_.failed()) return save.saved(std::unexpected(store_.failure()));
  const std::string key = revocation_key(save.revocation);
  std::int64_t before_ms = save.revocation.before_ms;
  rocksdb::PinnableSlice value;
  if (store_.db().Get({}, store_.revocations(), key, &value).ok()) {
    const auto earlier = decode_revocation(key, view(value));
    if (earlier) before_ms = std::max(before_ms, earlier->before_ms);
  }
  const auto [staged, added] = revoked_.try_emplace(key, before_ms);
  staged->second = std::max(staged->second, before_ms);
  batch_.Put(store_.revocations(), key, channel_key(static_cast<std::uint64_t>(staged->second)));
  saved_.push_back(std::move(save.saved));
  sync_ = Store::Sync::yes;
}

}  // namespace tidewire::log
