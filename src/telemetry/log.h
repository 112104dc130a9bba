// Structured log lines: an event's name and typed fields, to standard error, as text or JSON.
//
// Lines go through a bounded queue to a thread of its own; when the queue is full the oldest lines are
// dropped and counted, and nobody waits. A line below the level costs one branch. Any thread may log
// between start_log() and stop_log(); before and after, lines are discarded. Tokens and keys are never
// logged: what may hold one passes through log::redact() (telemetry/redact.h) first.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace tidewire::telemetry {

enum class LogLevel : std::uint8_t { trace, debug, info, warn, error, off };
enum class LogFormat : std::uint8_t { text, json };

struct LogOptions {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::text;
  std::size_t queue_lines = 8192;
};

// A named value. Strings are not copied: they must live until the call returns.
struct LogField {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool> value;

  LogField(std::string_view n, std::string_view v) : name(n), value(v) {}
  LogField(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  LogField(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  LogField(std::string_view n, bool v) : name(n), value(v) {}
  LogField(std::string_view n, std::floating_point auto v) : name(n), value(static_cast<double>(v)) {}
  LogField(std::string_view n, std::signed_integral auto v) : name(n), value(static_cast<std::int64_t>(v)) {}
  LogField(std::string_view n, std::unsigned_integral auto v)
      : name(n), value(static_cast<std::uint64_t>(v)) {}
};
using LogFields = std::initializer_list<LogField>;

// Once per process, before the threads that log. Starting again replaces the options.
void start_log(const LogOptions& options);
// Writes out what waits. After the threads that log have ended.
void stop_log();
// At run time, from any thread.
void set_log_level(LogLevel level);
// Lines dropped because the queue was full.
std::uint64_t dropped_log_lines();

// One line without its line break. `unix_us`: microseconds since 1970. Pure.
std::string render_log_line(LogFormat format, LogLevel level, std::int64_t unix_us, std::string_view event,
                            LogFields fields);

namespace detail {
inline std::atomic<LogLevel> level{LogLevel::off};
void write_log_line(LogLevel level, std::string_view event, LogFields fields);
}  // namespace detail

inline bool log_enabled(LogLevel level) { return level >= detail::level.load(std::memory_order_relaxed); }

}  // namespace tidewire::telemetry

namespace tidewire::log {

// log::info("connection opened", {{"connection", id}, {"address", address}});
inline void trace(std::string_view event, telemetry::LogFields fields = {}) {
  if (telemetry::log_enabled(telemetry::LogLevel::trace)) [[unlikely]]
    telemetry::detail::write_log_line(telemetry::LogLevel::trace, event, fields);
}
inline void debug(std::string_view event, telemetry::LogFields fields = {}) {
  if (telemetry::log_enabled(telemetry::LogLevel::debug)) [[unlikely]]
    telemetry::detail::write_log_line(telemetry::LogLevel::debug, event, fields);
}
inline void info(std::string_view event, telemetry::LogFields fields = {}) {
  if (telemetry::log_enabled(telemetry::LogLevel::info))
    telemetry::detail::write_log_line(telemetry::LogLevel::info, event, fields);
}
inline void warn(std::string_view event, telemetry::LogFields fields = {}) {
  if (telemetry::log_enabled(telemetry::LogLevel::warn))
    telemetry::detail::write_log_line(telemetry::LogLevel::warn, event, fields);
}
inline void error(std::string_view event, telemetry::LogFields fields = {}) {
  if (telemetry::log_enabled(telemetry::LogLevel::error))
    telemetry::detail::write_log_line(telemetry::LogLevel::error, event, fields);
}

}  // namespace tidewire::log
