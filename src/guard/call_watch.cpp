#include "guard/call_watch.h"

#include <utility>

#include "guard/bounded_table.h"
#include "guard/striped.h"

namespace tidewire::guard {

namespace {

struct Metered {
  ActivityMeter meter;
  std::int64_t seen_ms = 0;
  std::uint16_t tenant = 0;
  std::string user;
  IpAddress address;

  std::int64_t idle_at_ms() const { return seen_ms + 2 * ActivityMeter::kWindow_ms; }
  CallWatch::Window take(const LimitKey& key) {
    return {.key = key, .tenant = tenant, .user = user, .address = address, .activity = meter.take()};
  }
};

}  // namespace

class CallWatch::Stripes : public Striped<BoundedTable<Metered>> {
 public:
  using Striped::Striped;
};

CallWatch::CallWatch(std::size_t max_callers) : stripes_(std::make_unique<Stripes>(max_callers)) {}
CallWatch::~CallWatch() = default;

std::optional<CallWatch::Window> CallWatch::note(const Caller& caller, const Call& call,
                                                 std::int64_t now_ms) {
  return stripes_->with(caller.key, [&](auto& table) {
    Metered& metered = table.insert(caller.key, now_ms);
    std::optional<Window> ended;
    if (metered.meter.due(now_ms)) ended = metered.take(caller.key);
    metered.seen_ms = now_ms;
    if (metered.user.empty()) {
      metered.tenant = caller.tenant;
      metered.user = caller.user;
    }
    metered.address = caller.address;
    metered.meter.request(call.bytes, now_ms);
    if (call.message) metered.meter.message(*call.message, now_ms);
    if (call.failed) metered.meter.error();
    if (call.refused_channel) metered.meter.refused_channel(*call.refused_channel);
    return ended;
  });
}

std::vector<CallWatch::Window> CallWatch::take_ended(std::int64_t now_ms) {
  std::vector<Window> ended;
  stripes_->with_next([&](auto& table) {
    table.for_each([&](const LimitKey& key, Metered& metered) {
      if (metered.meter.due(now_ms)) ended.push_back(metered.take(key));
    });
    table.sweep(now_ms);
  });
  return ended;
}

std::size_t CallWatch::callers() { return stripes_->size(); }

}  // namespace tidewire::guard
