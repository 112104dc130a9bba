#include "telemetry/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "telemetry/printable.h"

namespace tidewire::telemetry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kWhen_us = 1'762'907'034'678'901;

TEST(LogLine, IsOneJsonObjectWithTypedFields) {
  EXPECT_EQ(
      render_log_line(LogFormat::json, LogLevel::info, kWhen_us, "connection opened",
                      {{"connection", "c-7"},
                       {"user", std::string("42")},
                       {"port", 8080},
                       {"offset", -1},
                       {"bytes", std::uint64_t{18'446'744'073'709'551'615u}},
                       {"ratio", 0.5},
                       {"tls", true}}),
      R"({"ts":"2025-11-12T00:23:54.678Z","level":"info","event":"connection opened","connection":"c-7",)"
      R"("user":"42","port":8080,"offset":-1,"bytes":18446744073709551615,"ratio":0.5,"tls":true})");
}

TEST(LogLine, IsReadableAsText) {
  EXPECT_EQ(render_log_line(
                LogFormat::text, LogLevel::warn, kWhen_us, "slow disk",
                {{"path", "/var/lib/tide wire"}, {"took_ms", 12}, {"engine", "embedded"}, {"note", ""}}),
            "2025-11-12T00:23:54.678Z warn  slow disk path=\"/var/lib/tide wire\" took_ms=12 engine=embedded "
            "note=\"\"");
}

TEST(LogLine, CannotBeForgedByLineBreaksInText) {
  for (const LogFormat format : {LogFormat::text, LogFormat::json}) {
    const std::string line = render_log_line(format, LogLevel::info, kWhen_us, "bad\nevent",
                                             {{"path", "/x\r\n2025 error forged=1"}, {"quote", "a\"b"}});
    EXPECT_EQ(line.find_first_of("\r\n"), line.npos) << line;
    EXPECT_THAT(line, HasSubstr("a\\\"b"));
  }
}

TEST(LogLine, KeepsItsOwnMembersFromFieldsOfTheSameName) {
  EXPECT_THAT(render_log_line(LogFormat::json, LogLevel::info, 0, "x", {{"level", "forged"}, {"event", 1}}),
              HasSubstr(R"("level":"info","event":"x","level_":"forged","event_":1})"));
}

TEST(LogLine, IsValidJsonWhateverTheValues) {
  EXPECT_THAT(render_log_line(LogFormat::json, LogLevel::info, 0, "\xff\xfe", {{"v", "a\x80"}, {"n", NAN}}),
              HasSubstr("\"event\":\"\xef\xbf\xbd\xef\xbf\xbd\",\"v\":\"a\xef\xbf\xbd\",\"n\":null}"));
}

TEST(LogLine, KnowsTimesBefore1970) {
  EXPECT_THAT(render_log_line(LogFormat::text, LogLevel::info, -1, "x", {}),
              HasSubstr("1969-12-31T23:59:59.999Z"));
}

TEST(ToUtf8, KeepsValidTextAndReplacesTheRest) {
  EXPECT_EQ(to_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  const std::string bad = "\xef\xbf\xbd";
  EXPECT_EQ(to_utf8("\xc0\xaf"), bad + bad);                      // overlong
  EXPECT_EQ(to_utf8("\xed\xa0\x80"), bad + bad + bad);            // surrogate
  EXPECT_EQ(to_utf8("\xf4\x90\x80\x80"), bad + bad + bad + bad);  // above U+10FFFF
  EXPECT_EQ(to_utf8("x\xe2\x82"), "x" + bad + bad);               // cut short
}

// What was logged between start and stop.
std::string logged(const LogOptions& options, void (*work)()) {
  ::testing::internal::CaptureStderr();
  start_log(options);
  work();
  stop_log();
  return ::testing::internal::GetCapturedStderr();
}

TEST(Log, WritesLinesOfItsLevelAndAbove) {
  const std::string out = logged({.level = LogLevel::info}, [] {
    log::debug("not this");
    log::info("this", {{"n", 1}});
    log::error("and this");
  });
  EXPECT_THAT(out, HasSubstr("info  this n=1\n"));
  EXPECT_THAT(out, HasSubstr("error and this\n"));
  EXPECT_THAT(out, Not(HasSubstr("not this")));
}

TEST(Log, ChangesItsLevelWhileItRuns) {
  const std::string out = logged({.level = LogLevel::error, .format = LogFormat::json}, [] {
    log::warn("before");
    set_log_level(LogLevel::trace);
    log::trace("after");
    EXPECT_TRUE(log_enabled(LogLevel::trace));
  });
  EXPECT_THAT(out, Not(HasSubstr("before")));
  EXPECT_THAT(out, HasSubstr(R"("level":"trace","event":"after"})"));
}

TEST(Log, DiscardsLinesWhileItIsNotRunning) {
  ::testing::internal::CaptureStderr();
  log::error("nobody hears this");
  EXPECT_FALSE(log_enabled(LogLevel::error));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(dropped_log_lines(), 0u);
}

TEST(Log, WritesEveryLineOfManyThreadsWhenTheQueueHoldsThem) {
  const std::string out = logged({.queue_lines = 4096}, [] {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([t] {
        for (int i = 0; i < 500; ++i) log::info("line", {{"thread", t}, {"i", i}});
      });
    threads.clear();
    EXPECT_EQ(dropped_log_lines(), 0u);
  });
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 2000);
}

TEST(Log, DropsOldLinesInPlaceOfWaitingAndCountsThem) {
  static std::uint64_t dropped;
  const std::string out = logged({.queue_lines = 4}, [] {
    for (int i = 0; i < 20'000; ++i) log::info("burst", {{"i", i}});
    log::info("last");
    dropped = dropped_log_lines();
  });
  const auto written = static_cast<std::uint64_t>(std::count(out.begin(), out.end(), '\n'));
  EXPECT_EQ(written + dropped, 20'001u);
  EXPECT_THAT(out, HasSubstr("last\n"));
}

}  // namespace
}  // namespace tidewire::telemetry
