// Reads pages of entries, and of channels, on a thread of its own, one after another in the order in which
// they were asked for, so that whoever reads much or from a cold disk delays no commit. Included by this
// folder's sources only.
//
// Invariant: a page of entries is read from a snapshot of the store of when it was asked for, and its channel
// is named by the store's own id: so nothing that happens to the channel meanwhile (trimming, closing, a new
// epoch) changes what is read. add() is called on the engine's thread; the rest is the reader's.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

#include "log/rocksdb/reader.h"

namespace tidewire::log {

struct PageWanted {
  std::uint16_t shard = 0;
  Read read;
  std::uint64_t id = 0;  // of the channel, in the store
  std::string name;
  std::uint64_t first_seq = 0;  // the oldest entry kept
  std::uint64_t last_seq = 0;   // the newest that may be answered
  std::shared_ptr<const rocksdb::Snapshot> as_of;
};

struct ListWanted {
  std::uint16_t shard = 0;
  List list;
};

// A read has found, and noted, that a channel's data can't be trusted.
struct FoundDamage {
  std::uint64_t id = 0;
};

class PageReader {
 public:
  // Answers go to the sinks from the reader's thread, damage to `tell`.
  PageReader(Store& store, const std::vector<RocksdbLog::Sink>& sinks, std::function<void(FoundDamage)> tell);
  // Reads what was asked for first.
  ~PageReader();

  void add(PageWanted&& page) { queue(std::move(page)); }
  void add(ListWanted&& list) { queue(std::move(list)); }

 private:
  using Wanted = std::variant<PageWanted, ListWanted>;
  void queue(Wanted&& wanted);
  void run();
  Outcome read(const PageWanted& page);
  Outcome read(const ListWanted& list);

  Store& store_;
  const std::vector<RocksdbLog::Sink> sinks_;
  const std::function<void(FoundDamage)> tell_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Wanted> waiting_;
  bool stopping_ = false;
  std::thread thread_;  // the last, since it uses all the others
};

}  // namespace tidewire::log
