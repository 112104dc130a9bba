// A snapshot of metrics as plain values: each shard fills one on request, they are summed, and the sum
// is rendered in Prometheus' text format.
//
// No atomics and no registry: a shard counts in its own plain integers, and a Snapshot belongs to one
// thread at a time. Counters' names end in _total; units are seconds and bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/histogram.h"

namespace tidewire::telemetry {

enum class MetricType : std::uint8_t { counter, gauge, histogram };

using Labels = std::vector<std::pair<std::string, std::string>>;

struct Sample {
  Labels labels;
  double value = 0;                    // counters and gauges
  std::vector<std::uint64_t> buckets;  // histograms: samples at or below each of kLatencyBuckets_s
  std::uint64_t count = 0;
  double sum = 0;
  friend bool operator==(const Sample&, const Sample&) = default;
};

struct Family {
  std::string name;
  std::string help;
  MetricType type = MetricType::gauge;
  std::vector<Sample> samples;
  friend bool operator==(const Family&, const Family&) = default;
};

// Upper bounds of the buckets of latency histograms, in seconds.
inline constexpr double kLatencyBuckets_s[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                               0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};

class Snapshot {
 public:
  // Adds to the sample with these labels, so that calling twice sums.
  void counter(std::string_view name, std::string_view help, double value, Labels labels = {});
  void gauge(std::string_view name, std::string_view help, double value, Labels labels = {});
  // From a histogram of microseconds to one of seconds.
  void histogram(std::string_view name, std::string_view help, const Histogram& latency, Labels labels = {});

  const std::vector<Family>& families() const { return families_; }
  // The sample's value, or its count for histograms; 0 where there is none.
  double value(std::string_view name, const Labels& labels = {}) const;

 private:
  Sample& sample(std::string_view name, std::string_view help, MetricType type, Labels&& labels);

  std::vector<Family> families_;
};

// Prometheus' text format 0.0.4, families in the order of their first mention.
std::string render_metrics(const Snapshot& snapshot);

}  // namespace tidewire::telemetry
