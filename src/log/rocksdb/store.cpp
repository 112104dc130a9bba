#include "log/rocksdb/store.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "base/random.h"
#include "log/rocksdb/torn_tail.h"

namespace tidewire::log {

namespace {

constexpr std::string_view kFormatKey = "format";
constexpr std::string_view kNextIdKey = "next_id";
constexpr std::string_view kEpochSeedKey = "epoch_seed";
constexpr std::uint64_t kSecondsPerDay = 86'400;

rocksdb::ColumnFamilyOptions family_options(const RocksdbLog::Options& options,
                                            const std::shared_ptr<rocksdb::Cache>& cache,
                                            std::size_t block_bytes) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = block_bytes;
  // Index and filters count against the cache, or a million channels would hold memory of their own.
  table.cache_index_and_filter_blocks = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.optimize_filters_for_memory = true;
  table.format_version = 5;

  rocksdb::ColumnFamilyOptions family;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  // Only the entries' buffer is flushed for its size, see open(); the others with the bounds on all buffers
  // and on the write-ahead log.
  family.write_buffer_size = 4 * options.write_buffer_bytes;
  family.arena_block_size = std::clamp<std::size_t>(options.write_buffer_bytes / 64, 8u << 10, 1u << 20);
  family.max_write_buffer_number = 4;
  family.level_compaction_dynamic_level_bytes = true;
  family.compression = rocksdb::kNoCompression;
  // A file that cannot be compacted (a damaged block) must not stop the writes of everyone.
  family.level0_slowdown_writes_trigger = 1'000;
  family.level0_stop_writes_trigger = 10'000;
  family.soft_pending_compaction_bytes_limit = 0;
  family.hard_pending_compaction_bytes_limit = 0;
  // Deleted ranges give their space back within a day, also where nothing is written any more.
  family.periodic_compaction_seconds = kSecondsPerDay;
  return family;
}

rocksdb::CompressionType entry_compression() {
  const auto supported = rocksdb::GetSupportedCompressions();
  return std::ranges::find(supported, rocksdb::kLZ4Compression) != supported.end() ? rocksdb::kLZ4Compression
                                                                                   : rocksdb::kNoCompression;
}

std::unexpected<Error> damaged(const std::string& path, std::string_view what) {
  return fail(
      ErrorCode::internal,
      fmt::format("the store at {} is damaged: {}; restore it from a backup, or move it away to start empty",
                  path, what));
}

std::unexpected<Error> cannot_open(const std::string& path, const rocksdb::Status& status) {
  const std::string said = status.ToString();
  if (status.IsCorruption() || status.IsPathNotFound()) return damaged(path, said);
  if (said.find("lock ") != std::string::npos && said.find("LOCK") != std::string::npos)
    return fail(ErrorCode::unavailable,
                fmt::format("the store at {} is in use, locked by another: {}", path, said));
  return fail(ErrorCode::unavailable, fmt::format("the store at {} cannot be opened: {}", path, said));
}

// Without its file CURRENT RocksDB takes a store for a new one, and removes what is there.
bool lost_its_current(const std::string& path) {
  std::error_code none;
  if (std::filesystem::exists(path + "/CURRENT", none)) return false;
  return std::ranges::any_of(std::filesystem::directory_iterator(path, none), [](const auto& file) {
    return file.path().extension() == ".sst" || file.path().extension() == ".log";
  });
}

// What has to be put right, or refused, before RocksDB sees the store.
// True when an end was cut off.
Result<bool> prepare(const std::string& path, rocksdb::Env& env) {
  rocksdb::FileLock* lock = nullptr;
  if (const auto status = env.LockFile(path + "/LOCK", &lock); !status.ok()) return cannot_open(path, status);
  const bool headless = lost_its_current(path);
  const Result<bool> cut = headless ? Result<bool>(false) : cut_torn_tail(path);
  env.UnlockFile(lock).PermitUncheckedError();
  if (headless) return damaged(path, "its file CURRENT is missing");
  if (cut) return *cut;
  if (cut.error().code == ErrorCode::internal) return damaged(path, cut.error().message);
  return fail(ErrorCode::unavailable,
              fmt::format("the store at {} cannot be opened: {}", path, cut.error().message));
}

}  // namespace

void Store::State::fail(const std::string& reason) {
  const std::lock_guard lock(mutex);
  if (failed.exchange(true)) return;
  health.writable = false;
  health.reason = reason;
}

// RocksDB retries some background errors by itself and then takes writes again. Here nothing may go on
// after a failure whose extent nobody knows, so the store is failed for good. The one exception is a
// block that compaction finds damaged: nothing is lost by leaving its file as it is.
class Store::Listener final : public rocksdb::EventListener {
 public:
  explicit Listener(std::shared_ptr<State> state) : state_(std::move(state)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    if (reason == rocksdb::BackgroundErrorReason::kCompaction && error->IsCorruption()) {
      const std::lock_guard lock(state_->mutex);
      // Which channel it is only a read can say, and it may have said so.
      if (state_->health.damage.empty()) state_->health.damage = error->ToString();
      *error = rocksdb::Status::OK();
      return;
    }
    state_->fail(error->ToString());
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }

 private:
  std::shared_ptr<State> state_;
};

Result<std::unique_ptr<Store>> Store::open(const RocksdbLog::Options& options) {
  std::unique_ptr<Store> store(new Store);
  std::error_code made;
  std::filesystem::create_directories(options.path, made);
  if (made)
    return fail(ErrorCode::unavailable,
                fmt::format("the directory {} cannot be made: {}", options.path, made.message()));

  rocksdb::DBOptions db;
  if (options.env) db.env = options.env;
  const Result<bool> cut = prepare(options.path, *db.env);
  if (!cut) return std::unexpected(cut.error());
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  db.paranoid_checks = true;
  // Every acknowledged write was synced, so only the end of the last file may be torn; a hole elsewhere
  // is damage, and replaying up to it would lose messages in silence.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.track_and_verify_wals_in_manifest = true;
  db.max_bgerror_resume_count = 0;
  db.listeners.push_back(std::make_shared<Listener>(store->health_));
  db.max_total_wal_size = options.wal_bytes_max;
  const auto cache = rocksdb::NewLRUCache(options.cache_bytes);
  db.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes);
  db.allow_concurrent_memtable_write = false;  // there is one writer
  db.max_background_jobs = 2;
  db.bytes_per_sync = 1u << 20;
  db.max_open_files = 512;
  db.skip_stats_update_on_db_open = true;
  db.avoid_unnecessary_blocking_io = true;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.keep_log_file_num = 2;
  db.max_log_file_size = 1u << 20;
  db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;

  const rocksdb::ColumnFamilyOptions small = family_options(options, cache, 4u << 10);
  rocksdb::ColumnFamilyOptions entries = family_options(options, cache, 16u << 10);
  entries.compression = entry_compression();
  // Where several families are due at once and the next write-ahead log cannot be made, 7.8 keeps references
  // to all but one of them, and aborts when it is closed. So only one ever is.
  entries.write_buffer_size = std::max<std::size_t>(options.write_buffer_bytes / 4, 64u << 10);
  // Not memtable_insert_with_hint_prefix_extractor, tempting as it is for ascending keys: 7.8 shares the
  // hints between a memtable's entries and its range deletes, and aborts.
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : {"default", "names", "channels", "entries", "keys", "snapshots", "revocations"})
    families.emplace_back(name, std::string_view(name) == "entries" ? entries : small);

  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(db, options.path, families, &store->families_, &opened);
  if (!status.ok()) return cannot_open(options.path, status);
  store->db_.reset(opened);
  const auto header = store->read_header(*cut ? Tail::cut : Tail::whole);
  if (!header)
    return fail(header.error().code,
                fmt::format("the store at {}: {}", options.path, header.error().message));
  return store;
}

Result<void> Store::read_header(Tail tail) {
  std::string format, next_id, seed;
  const rocksdb::Status status = db_->Get({}, slice(kFormatKey), &format);
  if (status.IsNotFound()) {
    rocksdb::WriteBatch batch;
    batch.Put(slice(kFormatKey), slice(kFormat));
    change_first_epochs(batch);
    return write(batch, Sync::yes);
  }
  if (!status.ok()) return fail(ErrorCode::internal, "damaged: " + status.ToString());
  if (format != kFormat) return fail(ErrorCode::unavailable, "written by another version (" + format + ")");
  const rocksdb::Status seeded = db_->Get({}, slice(kEpochSeedKey), &seed);
  if (!seeded.ok() && !seeded.IsNotFound()) return fail(ErrorCode::internal, "damaged: " + seeded.ToString());
  // What was cut may have been the first entries of channels that are made again now. A store of an earlier
  // version has no seed yet.
  if (seed.size() != 8 || tail == Tail::cut) {
    rocksdb::WriteBatch batch;
    change_first_epochs(batch);
    if (const auto written = write(batch, Sync::yes); !written) return written;
  } else {
    std::string_view bytes = seed;
    epoch_seed_ = take_u64(bytes);
  }
  const rocksdb::Status id = db_->Get({}, slice(kNextIdKey), &next_id);
  if (id.IsNotFound()) return {};
  if (!id.ok() || next_id.size() != 8) return fail(ErrorCode::internal, "damaged: " + id.ToString());
  std::string_view bytes = next_id;
  next_id_ = next_id_written_ = take_u64(bytes);
  return {};
}

std::string Store::first_epoch_of(std::string_view name) const {
  return Random(XXH3_64bits_withSeed(name.data(), name.size(), epoch_seed_)).name();
}

void Store::change_first_epochs(rocksdb::WriteBatch& batch) {
  std::random_device random;
  epoch_seed_ = (std::uint64_t{random()} << 32) | random();
  batch.Put(slice(kEpochSeedKey), channel_key(epoch_seed_));
}

Store::~Store() {
  if (!db_) return;
  for (rocksdb::ColumnFamilyHandle* family : families_) db_->DestroyColumnFamilyHandle(family);
  db_->Close().PermitUncheckedError();  // what counts was synced long ago
}

Result<void> Store::write(rocksdb::WriteBatch& batch, Sync sync) {
  if (failed()) return std::unexpected(failure());
  if (next_id_written_ != next_id_) batch.Put(slice(kNextIdKey), channel_key(next_id_));
  next_id_written_ = next_id_;
  rocksdb::WriteOptions options;
  options.sync = sync == Sync::yes;
  batch.PutLogData(synced_note(synced_to_));
  const rocksdb::Status status = db_->Write(options, &batch);
  if (status.ok() && options.sync) synced_to_ = db_->GetLatestSequenceNumber();
  if (status.ok()) return {};
  health_->fail(status.ToString());
  return std::unexpected(failure());
}

Error Store::failure() const {
  return fail(ErrorCode::unavailable, "the store is read-only after a failed write; it needs a restart")
      .error();
}

void Store::note_damage(std::string what) {
  const std::lock_guard lock(health_->mutex);
  ++health_->health.damaged_channels;
  health_->health.damage = std::move(what);
}

RocksdbLog::Health Store::health() const {
  const std::lock_guard lock(health_->mutex);
  return health_->health;
}

}  // namespace tidewire::log
