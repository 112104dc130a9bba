#include "base/time.h"

#include <chrono>

namespace tidewire {

Time read_clocks() {
  using namespace std::chrono;
  return {.mono_us = duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count(),
          .unix_ms = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count()};
}

}  // namespace tidewire
