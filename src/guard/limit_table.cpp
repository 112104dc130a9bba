#include "guard/limit_table.h"

#include "base/check.h"

namespace tidewire::guard {

std::int64_t LimitTable::wait_ms(const LimitKey& key, const Rate& rate, std::int64_t now_ms) {
  if (!key || rate.off()) return 0;
  const Bucket* entry = buckets_.find(key);
  return entry ? entry->bucket.retry_after_ms(now_ms, rate) : 0;
}

void LimitTable::take(const LimitKey& key, const Rate& rate, std::int64_t now_ms) {
  if (!key || rate.off()) return;
  Bucket& entry = buckets_.insert(key, now_ms);
  TIDEWIRE_CHECK(entry.bucket.take(now_ms, rate));
  entry.full_at_ms = entry.bucket.full_at_ms(now_ms, rate);
}

bool LimitTable::add_connection(const LimitKey& key, std::int64_t most, std::int64_t now_ms) {
  if (!key) return true;
  const Count* known = connections_.find(key);
  if (most > 0 && known && known->connections >= most) return false;
  ++connections_.insert(key, now_ms).connections;
  return true;
}

void LimitTable::remove_connection(const LimitKey& key) {
  if (!key) return;
  Count* entry = connections_.find(key);
  TIDEWIRE_CHECK(entry && entry->connections > 0);
  --entry->connections;
}

std::int64_t LimitTable::connections(const LimitKey& key) {
  const Count* entry = key ? connections_.find(key) : nullptr;
  return entry ? entry->connections : 0;
}

}  // namespace tidewire::guard
