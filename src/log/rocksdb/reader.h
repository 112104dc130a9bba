// What the store has of one channel, read as a unit. Reads only what was written before; on the engine's
// thread, read_entries() and read_list() on the page reader's. Included by this folder's sources only.
//
// Invariant: entries are answered without a hole. An entry that is missing, or cannot be read back, is
// Corruption like a block whose checksum is wrong.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/rocksdb/store.h"

namespace tidewire::log {

template <class T>
using Stored = std::expected<T, rocksdb::Status>;

inline constexpr std::int64_t kNever = INT64_MAX;
inline constexpr std::size_t kKeysMax = 100'000;  // brought along by an Open; the newest

// An iterator over a part of a column family. The bounds live as long as it does.
class Range {
 public:
  Range(Store& store, rocksdb::ColumnFamilyHandle* family, std::string lower, std::string upper,
        const rocksdb::Snapshot* as_of = nullptr)
      : lower_(std::move(lower)), upper_(std::move(upper)), lower_slice_(lower_), upper_slice_(upper_) {
    rocksdb::ReadOptions options;
    options.snapshot = as_of;
    options.iterate_lower_bound = &lower_slice_;
    options.iterate_upper_bound = &upper_slice_;
    iterator_.reset(store.db().NewIterator(options, family));
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
  rocksdb::Iterator* operator->() { return iterator_.get(); }

 private:
  std::string lower_, upper_;
  rocksdb::Slice lower_slice_, upper_slice_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

struct StoredSnapshot {
  std::uint64_t seq = 0;
  SharedBytes state;
};

Stored<std::optional<std::uint64_t>> find_channel(Store& store, std::string_view name);
Stored<ChannelRecord> read_record(Store& store, std::uint64_t id);
// Leaves out what can't be read back: opening it will find it.
Stored<Listed> read_list(Store& store, const List& list);
Stored<StoredSnapshot> read_snapshot(Store& store, std::uint64_t id);

// Entries from `first` to `last`, ascending, within the bounds but at least one if there is one; as the
// store was at `as_of`, or null: as it is now.
Stored<std::vector<Entry>> read_entries(Store& store, std::uint64_t id, std::uint64_t first,
                                        std::uint64_t last, std::size_t messages_max, std::size_t bytes_max,
                                        const rocksdb::Snapshot* as_of = nullptr);
// The newest of them, ascending.
Stored<std::vector<Entry>> read_tail(Store& store, std::uint64_t id, const ChannelRecord& record,
                                     std::size_t messages_max, std::size_t bytes_max);
// Those still in use, ascending by seq.
Stored<std::vector<KeyUse>> read_keys(Store& store, std::uint64_t id, std::uint64_t from,
                                      std::int64_t now_ms);

// Whether any stand for this seq or a later one, in use or not.
Stored<bool> has_keys(Store& store, std::uint64_t id, std::uint64_t from);

// The first seq from `first` to `last` + 1 whose entry is not too old, and when that one will be (kNever:
// never; 0: not known). Takes timestamps as ascending, so it costs the logarithm of what goes.
struct Kept {
  std::uint64_t first_seq = 0;
  std::int64_t goes_ms = 0;
};
Stored<Kept> first_kept(Store& store, std::uint64_t id, std::uint64_t first, std::uint64_t last,
                        const Retention& retention, std::int64_t now_ms);

// When an entry leaves by age.
std::int64_t goes_at(const Entry& entry, const Retention& retention);

}  // namespace tidewire::log
