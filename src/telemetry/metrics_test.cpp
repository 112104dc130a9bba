#include "telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace tidewire::telemetry {
namespace {

using ::testing::HasSubstr;

void add_example(Snapshot& out) {
  out.counter("tidewire_messages_received_total", "Messages that clients sent.", 3, {{"type", "publish"}});
  out.counter("tidewire_messages_received_total", "Messages that clients sent.", 4, {{"type", "ping"}});
  out.gauge("tidewire_connections", "Open connections.", 2);
  Histogram latency;
  latency.record(900);
  latency.record(30'000);
  latency.record(60'000'000);
  out.histogram("tidewire_publish_latency_seconds", "From publish to delivery.", latency);
}

Snapshot example() {
  Snapshot out;
  add_example(out);
  return out;
}

TEST(Metrics, RenderInThePrometheusTextFormat) {
  const std::string text = render_metrics(example());
  EXPECT_THAT(text, HasSubstr("# HELP tidewire_messages_received_total Messages that clients sent.\n"
                              "# TYPE tidewire_messages_received_total counter\n"
                              "tidewire_messages_received_total{type=\"publish\"} 3\n"
                              "tidewire_messages_received_total{type=\"ping\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE tidewire_connections gauge\ntidewire_connections 2\n"));
  EXPECT_THAT(text, HasSubstr("tidewire_publish_latency_seconds_bucket{le=\"0.001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tidewire_publish_latency_seconds_bucket{le=\"0.05\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("tidewire_publish_latency_seconds_bucket{le=\"10\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("tidewire_publish_latency_seconds_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("tidewire_publish_latency_seconds_count 3\n"));
  EXPECT_THAT(text, HasSubstr("tidewire_publish_latency_seconds_sum 60.03"));
}

TEST(Metrics, SumWhatIsCountedTwice) {
  Snapshot sum = example();
  add_example(sum);
  sum.gauge("tidewire_only_here", "On one shard alone.", 1);
  EXPECT_EQ(sum.value("tidewire_messages_received_total", {{"type", "ping"}}), 8);
  EXPECT_EQ(sum.value("tidewire_connections"), 4);
  EXPECT_EQ(sum.value("tidewire_publish_latency_seconds"), 6);
  EXPECT_EQ(sum.value("tidewire_only_here"), 1);
  EXPECT_EQ(sum.value("tidewire_unknown"), 0);
  EXPECT_THAT(render_metrics(sum), HasSubstr("tidewire_publish_latency_seconds_bucket{le=\"0.05\"} 4\n"));
}

TEST(Metrics, AreEmptyWithoutAnything) { EXPECT_EQ(render_metrics(Snapshot{}), ""); }

TEST(Metrics, EscapeLabelsFromOutside) {
  Snapshot snapshot;
  snapshot.gauge("tidewire_x", "One.", 1, {{"name", "a\"b\\c\nd\xff"}});
  EXPECT_THAT(render_metrics(snapshot), HasSubstr("tidewire_x{name=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"} 1\n"));
}

TEST(Metrics, PassPromtool) {
  if (std::system("promtool --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "promtool is not installed";
  const auto path = std::filesystem::path(::testing::TempDir()) / "tidewire_metrics_test.txt";
  std::ofstream(path) << render_metrics(example());
  EXPECT_EQ(std::system(("promtool check metrics <" + path.string()).c_str()), 0);
  std::filesystem::remove(path);
}

TEST(MetricsDeathTest, RefuseACounterWhoseNameDoesNotEndInTotal) {
  Snapshot snapshot;
  EXPECT_DEATH(snapshot.counter("tidewire_messages", "Wrong.", 1), "_total");
}

}  // namespace
}  // namespace tidewire::telemetry
