// What a run has cost and how long things took: CPU time and memory of the server's processes from
// /proc, latencies, and the line of JSON at the end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "options.h"

namespace logload {

std::uint64_t now_ns();

// Every value is kept, so percentiles are exact.
class Latencies {
 public:
  void record(std::uint64_t ns) { us_.push_back(static_cast<float>(ns) * 1e-3F); }
  void clear() { us_.clear(); }
  std::size_t count() const { return us_.size(); }
  double percentile_us(double percent);

 private:
  std::vector<float> us_;
};

// CPU seconds until now; two of them make a cost.
struct Cpu {
  double server = 0;
  double server_core = 0;
  double own = 0;
  double own_core = 0;
  double stolen = 0;
  std::uint64_t at_ns = 0;
};
Cpu cpu_now(const Options& options);

struct Memory {
  double resident_kib = 0;
  double peak_kib = 0;
  double written_bytes = 0;  // to the disk's cache, as /proc/PID/io counts it
};
Memory memory_now(const Options& options);
// So that the next peak is the peak from here on.
void forget_peak(const Options& options);

class Json {
 public:
  void add(const std::string& name, double value);
  void add(const std::string& name, const std::string& value);
  // cpu_s_per_M, server_cpu_s, server_cpu_pct, gen_cpu_pct, foreign_pct, seconds
  void add_cost(const Options& options, const Cpu& from, const Cpu& to, std::uint64_t messages);
  // PREFIXp50_us, p90, p99, p999, max
  void add_latencies(const std::string& prefix, Latencies& latencies);
  void print() const;

 private:
  std::string text_;
};

}  // namespace logload
