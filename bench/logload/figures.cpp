#include "figures.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>

namespace logload {

namespace {

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

double number_after(const std::string& text, const std::string& key) {
  const auto at = text.find(key);
  return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + key.size(), nullptr);
}

double seconds_of(const timespec& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

double process_seconds(int pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return seconds_of(time);
}

// Busy and stolen seconds of one core. What the kernel does for nobody in particular counts as busy.
struct Core {
  double busy = 0;
  double stolen = 0;
};
Core core_seconds(const std::string& stat, int core) {
  const std::string key = "\ncpu" + std::to_string(core) + " ";
  const auto at = stat.find(key);
  if (core < 0 || at == std::string::npos) return {};
  std::istringstream words(stat.substr(at + key.size()));
  double ticks[8] = {};
  for (double& tick : ticks) words >> tick;
  const double per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return {(ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / per_second, ticks[7] / per_second};
}

}  // namespace

std::uint64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

double Latencies::percentile_us(double percent) {
  if (us_.empty()) return 0;
  const auto last = static_cast<double>(us_.size() - 1);
  const auto at = us_.begin() + static_cast<std::ptrdiff_t>(percent / 100 * last + 0.5);
  std::nth_element(us_.begin(), at, us_.end());
  return static_cast<double>(*at);
}

Cpu cpu_now(const Options& options) {
  static const int own_core = ::sched_getcpu();
  Cpu cpu;
  cpu.at_ns = now_ns();
  for (const int pid : options.pids) cpu.server += process_seconds(pid);
  const std::string stat = file_text("/proc/stat");
  const Core server = core_seconds(stat, options.server_core);
  const Core own = core_seconds(stat, own_core);
  cpu.server_core = server.busy;
  cpu.own_core = own.busy;
  cpu.stolen = server.stolen + own.stolen;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  cpu.own = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  return cpu;
}

Memory memory_now(const Options& options) {
  Memory memory;
  for (const int pid : options.pids) {
    const std::string folder = "/proc/" + std::to_string(pid);
    const std::string status = file_text(folder + "/status");
    memory.resident_kib += number_after(status, "VmRSS:");
    memory.peak_kib += number_after(status, "VmHWM:");
    memory.written_bytes += number_after(file_text(folder + "/io"), "\nwrite_bytes:");
  }
  return memory;
}

void forget_peak(const Options& options) {
  for (const int pid : options.pids) std::ofstream("/proc/" + std::to_string(pid) + "/clear_refs") << "5";
}

void Json::add(const std::string& name, double value) {
  char number[64];
  std::snprintf(number, sizeof number, "%.10g", value);
  text_ += (text_.empty() ? "\"" : ",\"") + name + "\":" + number;
}

void Json::add(const std::string& name, const std::string& value) {
  text_ += (text_.empty() ? "\"" : ",\"") + name + "\":\"" + value + "\"";
}

void Json::add_cost(const Options& options, const Cpu& from, const Cpu& to, std::uint64_t messages) {
  const double wall = static_cast<double>(to.at_ns - from.at_ns) * 1e-9;
  const double server = to.server - from.server;
  const double own = to.own - from.own;
  add("seconds", wall);
  if (!options.pids.empty()) {
    if (messages > 0) add("cpu_s_per_M", server / static_cast<double>(messages) * 1e6);
    add("server_cpu_s", server);
    add("server_cpu_pct", server / wall * 100);
  }
  add("gen_cpu_pct", own / wall * 100);
  double foreign = to.own_core - from.own_core - own;
  if (options.server_core >= 0 && !options.pids.empty())
    foreign = std::max(foreign, to.server_core - from.server_core - server);
  add("foreign_pct", std::max(0.0, foreign + to.stolen - from.stolen) / wall * 100);
}

void Json::add_latencies(const std::string& prefix, Latencies& latencies) {
  if (latencies.count() == 0) return;
  for (const auto& [name, percent] :
       {std::pair{"p50_us", 50.0}, {"p90_us", 90.0}, {"p99_us", 99.0}, {"p999_us", 99.9}, {"max_us", 100.0}})
    add(prefix + name, latencies.percentile_us(percent));
}

void Json::print() const { std::printf("JSON {%s}\n", text_.c_str()); }

}  // namespace logload
