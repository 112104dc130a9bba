#include "log/rocksdb/page_reader.h"

#include <pthread.h>

#include <algorithm>

namespace tidewire::log {

PageReader::PageReader(Store& store, const std::vector<RocksdbLog::Sink>& sinks,
                       std::function<void(FoundDamage)> tell)
    : store_(store), sinks_(sinks), tell_(std::move(tell)), thread_([this] { run(); }) {}

PageReader::~PageReader() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void PageReader::queue(Wanted&& wanted) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(wanted));
  }
  changed_.notify_one();
}

void PageReader::run() {
  pthread_setname_np(pthread_self(), "log-reads");
  for (;;) {
    Wanted wanted;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      wanted = std::move(waiting_.front());
      waiting_.pop_front();
    }
    std::visit(
        [&](const auto& what) {
          std::vector<Outcome> outcomes;
          outcomes.push_back(read(what));
          sinks_[what.shard](std::move(outcomes));
        },
        wanted);
  }
}

Outcome PageReader::read(const PageWanted& page) {
  const Read& asked = page.read;
  const std::uint64_t first = std::max(asked.after + 1, page.first_seq);
  Stored<std::vector<Entry>> entries =
      asked.after >= page.last_seq ? std::vector<Entry>{}
                                   : read_entries(store_, page.id, first, page.last_seq, asked.messages_max,
                                                  asked.bytes_max, page.as_of.get());
  if (entries)
    return ReadDone{.channel = asked.channel,
                    .number = asked.number,
                    .first_seq = page.first_seq,
                    .entries = std::move(*entries)};
  if (entries.error().IsCorruption()) {
    store_.note_damage(page.name + ": " + entries.error().ToString());
    tell_({.id = page.id});
  }
  return Failed{.channel = asked.channel,
                .what = Failed::What::read,
                .number = asked.number,
                .error = fail(ErrorCode::unavailable, "the messages could not be read").error()};
}

Outcome PageReader::read(const ListWanted& list) {
  Stored<Listed> listed = read_list(store_, list.list);
  if (listed) return std::move(*listed);
  return Failed{.channel = {},
                .what = Failed::What::list,
                .number = list.list.number,
                .error = fail(ErrorCode::unavailable, "the channels could not be read").error()};
}

}  // namespace tidewire::log
