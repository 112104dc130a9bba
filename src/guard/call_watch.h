// What users' calls over HTTP add up to (requirement P3): a call has no connection whose meter it could
// count in, so a user's calls of ten seconds count in one of their own, whatever shard they come to.
//
// Striped, short locks, any thread may call; one lock a call. Memory: a caller who is silent for a window
// goes once that was taken; past `max_callers` the ones nearest to that go, at about 160 bytes each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "guard/anomaly.h"
#include "guard/limit_key.h"

namespace tidewire::guard {

class CallWatch {
 public:
  static constexpr std::size_t kMaxCallers = std::size_t{1} << 16;

  explicit CallWatch(std::size_t max_callers = kMaxCallers);
  ~CallWatch();
  CallWatch(const CallWatch&) = delete;
  CallWatch& operator=(const CallWatch&) = delete;

  struct Caller {
    LimitKey key;  // not empty
    std::uint16_t tenant = 0;
    std::string_view user = {};
    IpAddress address = {};
  };
  struct Call {
    std::size_t bytes = 0;
    std::optional<ActivityMeter::Writer> message = {};  // it published one
    bool failed = false;
    std::optional<std::uint64_t> refused_channel = {};  // failed for its channel, by this hash
  };
  struct Window {
    LimitKey key;
    std::uint16_t tenant = 0;
    std::string user = {};
    IpAddress address = {};
    Activity activity = {};
  };

  // A call that was answered. Gives the window before it, if that has ended.
  std::optional<Window> note(const Caller& caller, const Call& call, std::int64_t now_ms);
  // The windows of some callers who have said nothing since; call it often.
  std::vector<Window> take_ended(std::int64_t now_ms);

  std::size_t callers();

 private:
  class Stripes;
  std::unique_ptr<Stripes> stripes_;
};

}  // namespace tidewire::guard
