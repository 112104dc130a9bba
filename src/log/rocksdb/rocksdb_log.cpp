#include "log/rocksdb/rocksdb_log.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "log/rocksdb/group.h"
#include "log/rocksdb/store.h"

namespace tidewire::log {

namespace {
constexpr std::size_t kOperationBytes = 128;  // what an operation takes besides its entries' bodies
}

class RocksdbLog::Engine {
 public:
  Engine(std::unique_ptr<Store> store, std::vector<Sink> sinks, std::size_t waiting_bytes_max)
      : waiting_bytes_max_(waiting_bytes_max),
        shards_(sinks.size()),
        store_(std::move(store)),
        pages_(*store_, sinks, [this](FoundDamage found) { submit(Submission(std::move(found))); }),
        groups_(*store_, std::move(sinks), pages_),
        thread_([this] { run(); }) {}

  ~Engine() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void submit(ShardTurn&& turn) {
    TIDEWIRE_CHECK(turn.shard < shards_);
    {
      const std::lock_guard lock(mutex_);
      for (Operation& operation : turn.operations) weigh(operation);
      waiting_.push_back(std::move(turn));
    }
    changed_.notify_one();
  }

  void submit(Submission&& submission) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(submission));
    }
    changed_.notify_one();
  }

  Store& store() { return *store_; }
  const Groups& groups() const { return groups_; }

 private:
  // Past the bound an Append is emptied, not taken out: it is refused in its turn, as are its followers,
  // whose numbers then no longer fit.
  void weigh(Operation& operation) {
    std::size_t bytes = kOperationBytes;
    auto* append = std::get_if<Append>(&operation);
    if (append)
      for (const Entry& entry : append->entries) bytes += entry.body.size();
    if (append && waiting_bytes_ + bytes > waiting_bytes_max_) {
      append->entries.clear();
      append->keys.clear();
      bytes = kOperationBytes;
    }
    waiting_bytes_ += bytes;
  }

  void run() {
    pthread_setname_np(pthread_self(), "log");
    for (;;) {
      std::vector<Submission> taken;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        taken.swap(waiting_);
        waiting_bytes_ = 0;
      }
      groups_.carry_out(std::move(taken));
    }
  }

  const std::size_t waiting_bytes_max_;
  const std::size_t shards_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Submission> waiting_;
  std::size_t waiting_bytes_ = 0;
  bool stopping_ = false;
  std::unique_ptr<Store> store_;
  PageReader pages_;  // its end, which reads what is left, comes after that of the groups
  Groups groups_;
  std::thread thread_;  // the last, since it uses all the others
};

Result<std::unique_ptr<RocksdbLog>> RocksdbLog::open(const Options& options, std::vector<Sink> sinks) {
  auto store = Store::open(options);
  if (!store) return std::unexpected(std::move(store.error()));
  auto engine = std::make_unique<Engine>(std::move(*store), std::move(sinks), options.waiting_bytes_max);
  return std::unique_ptr<RocksdbLog>(new RocksdbLog(std::move(engine)));
}

RocksdbLog::RocksdbLog(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}
RocksdbLog::~RocksdbLog() = default;

void RocksdbLog::submit(std::uint16_t shard, std::vector<Operation>&& operations, std::int64_t now_ms) {
  engine_->submit(ShardTurn{.shard = shard, .operations = std::move(operations), .now_ms = now_ms});
}

void RocksdbLog::save_revocation(Revocation revocation, std::function<void(Result<void>)> saved) {
  engine_->submit(Submission(SaveRevocation{.revocation = std::move(revocation), .saved = std::move(saved)}));
}

std::vector<Revocation> RocksdbLog::revocations() {
  Store& store = engine_->store();
  std::vector<Revocation> all;
  const std::unique_ptr<rocksdb::Iterator> each(store.db().NewIterator({}, store.revocations()));
  for (each->SeekToFirst(); each->Valid(); each->Next())
    if (auto revocation = decode_revocation(view(each->key()), view(each->value())))
      all.push_back(std::move(*revocation));
  return all;
}

void RocksdbLog::sweep(std::int64_t now_ms) { engine_->submit(Submission(Sweep{.now_ms = now_ms})); }

RocksdbLog::Health RocksdbLog::health() const { return engine_->store().health(); }

RocksdbLog::Counts RocksdbLog::counts() const {
  return {.groups = engine_->groups().groups(),
          .entries = engine_->groups().entries(),
          .last_sync_us = engine_->groups().last_sync_us()};
}

}  // namespace tidewire::log
