#include "guard/attempts.h"

#include <algorithm>

#include "guard/attempt_table.h"
#include "guard/striped.h"

namespace tidewire::guard {

class Attempts::Stripes : public Striped<AttemptTable> {
 public:
  using Striped::Striped;
};

Attempts::Attempts(std::uint64_t seed, std::size_t max_entries)
    : keys_(seed), stripes_(std::make_unique<Stripes>(max_entries)) {}
Attempts::~Attempts() = default;

bool Attempts::blocked(const IpAddress& address, std::int64_t now_ms, std::int64_t& retry_after_ms) {
  const LimitKey key = keys_.address(address);
  retry_after_ms =
      stripes_->with(key, [&](AttemptTable& table) { return table.blocked_for_ms(key, now_ms); });
  return retry_after_ms > 0;
}

bool Attempts::record_failure(const IpAddress& address, const Limits& limits, std::int64_t now_ms) {
  const LimitKey key = keys_.address(address);
  return stripes_->with(key, [&](AttemptTable& table) { return table.record_failure(key, limits, now_ms); });
}

std::size_t Attempts::entries() { return stripes_->size(); }

void Attempts::sweep(std::int64_t now_ms) {
  stripes_->with_next([&](AttemptTable& table) { table.sweep(now_ms); });
}

}  // namespace tidewire::guard
