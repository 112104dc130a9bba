#include "telemetry/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <sstream>

#include "base/check.h"
#include "telemetry/printable.h"

namespace tidewire::telemetry {

namespace {

prometheus::MetricType type_of(MetricType type) {
  switch (type) {
    case MetricType::counter:
      return prometheus::MetricType::Counter;
    case MetricType::gauge:
      return prometheus::MetricType::Gauge;
    case MetricType::histogram:
      break;
  }
  return prometheus::MetricType::Histogram;
}

prometheus::ClientMetric client_metric(MetricType type, const Sample& sample) {
  prometheus::ClientMetric out;
  for (const auto& [name, value] : sample.labels) out.label.push_back({name, to_utf8(value)});
  if (type == MetricType::counter) out.counter.value = sample.value;
  if (type == MetricType::gauge) out.gauge.value = sample.value;
  if (type == MetricType::histogram) {
    out.histogram.sample_count = sample.count;
    out.histogram.sample_sum = sample.sum;
    for (std::size_t i = 0; i < sample.buckets.size(); ++i)
      out.histogram.bucket.push_back({sample.buckets[i], kLatencyBuckets_s[i]});
    out.histogram.bucket.push_back({sample.count, INFINITY});
  }
  return out;
}

}  // namespace

Sample& Snapshot::sample(std::string_view name, std::string_view help, MetricType type, Labels&& labels) {
  auto family =
      std::find_if(families_.begin(), families_.end(), [&](const Family& f) { return f.name == name; });
  if (family == families_.end())
    family = families_.insert(families_.end(), Family{std::string(name), std::string(help), type, {}});
  TIDEWIRE_CHECK(family->type == type);
  for (Sample& known : family->samples)
    if (known.labels == labels) return known;
  return family->samples.emplace_back(Sample{.labels = std::move(labels), .buckets = {}});
}

void Snapshot::counter(std::string_view name, std::string_view help, double value, Labels labels) {
  TIDEWIRE_CHECK(name.ends_with("_total"));
  sample(name, help, MetricType::counter, std::move(labels)).value += value;
}

void Snapshot::gauge(std::string_view name, std::string_view help, double value, Labels labels) {
  sample(name, help, MetricType::gauge, std::move(labels)).value += value;
}

void Snapshot::histogram(std::string_view name, std::string_view help, const Histogram& latency,
                         Labels labels) {
  Sample& into = sample(name, help, MetricType::histogram, std::move(labels));
  into.buckets.resize(std::size(kLatencyBuckets_s));
  for (std::size_t i = 0; i < into.buckets.size(); ++i)
    into.buckets[i] +=
        latency.count_at_most(static_cast<std::uint64_t>(std::llround(kLatencyBuckets_s[i] * 1e6)));
  into.count += latency.count();
  into.sum += static_cast<double>(latency.sum_us()) / 1e6;
}

double Snapshot::value(std::string_view name, const Labels& labels) const {
  for (const Family& family : families_) {
    if (family.name != name) continue;
    for (const Sample& sample : family.samples)
      if (sample.labels == labels)
        return family.type == MetricType::histogram ? static_cast<double>(sample.count) : sample.value;
  }
  return 0;
}

std::string render_metrics(const Snapshot& snapshot) {
  std::vector<prometheus::MetricFamily> families;
  for (const Family& family : snapshot.families()) {
    prometheus::MetricFamily out;
    out.name = family.name;
    out.help = family.help;
    out.type = type_of(family.type);
    for (const Sample& sample : family.samples) out.metric.push_back(client_metric(family.type, sample));
    families.push_back(std::move(out));
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return std::move(text).str();
}

}  // namespace tidewire::telemetry
