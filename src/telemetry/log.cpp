#include "telemetry/log.h"

#include <fmt/chrono.h>
#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <chrono>
#include <cmath>
#include <memory>

#include "base/json_text.h"
#include "telemetry/printable.h"

namespace tidewire::telemetry {

namespace {

constexpr std::array<std::string_view, 5> kLevels = {"trace", "debug", "info", "warn", "error"};

std::string_view name_of(LogLevel level) { return kLevels[static_cast<std::size_t>(level)]; }

struct Running {
  std::shared_ptr<spdlog::async_logger> logger;
  // Ends before the logger does: it waits for its thread, which writes through the logger's sink.
  std::shared_ptr<spdlog::details::thread_pool> pool;
  LogFormat format = LogFormat::text;
};
// Set and cleared while no other thread logs.
std::unique_ptr<Running>& running() {
  static std::unique_ptr<Running> instance;
  return instance;
}

std::string timestamp(std::int64_t unix_us) {
  const std::int64_t ms = unix_us / 1000 - (unix_us % 1000 < 0 ? 1 : 0);
  const std::int64_t second = ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(second)),
                     ms - second * 1000);
}

void append_value(std::string& out, const LogField& field, LogFormat format) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    const std::string clean = to_utf8(*text);
    // A word stands as it is; anything that could be taken for more than one value is quoted.
    const bool plain = !clean.empty() && clean.find_first_of(" \"=\\\x7f") == clean.npos &&
                       std::none_of(clean.begin(), clean.end(), [](char c) { return c >= 0 && c < 0x20; });
    if (format == LogFormat::text && plain)
      out += clean;
    else
      append_json_string(out, clean);
  } else if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
    append_json_int(out, *number);
  } else if (const auto* count = std::get_if<std::uint64_t>(&field.value)) {
    append_json_int(out, *count);
  } else if (const auto* real = std::get_if<double>(&field.value)) {
    // JSON has no words for these.
    out += std::isfinite(*real) ? fmt::format("{}", *real) : "null";
  } else {
    out += *std::get_if<bool>(&field.value) ? "true" : "false";
  }
}

void append_text(std::string& out, LogLevel level, std::string_view event, LogFields fields) {
  out += fmt::format(" {:<5} ", name_of(level));
  const std::string escaped = json_string(to_utf8(event));
  out += std::string_view(escaped).substr(1, escaped.size() - 2);
  for (const LogField& field : fields) {
    out += ' ';
    out += field.name;
    out += '=';
    append_value(out, field, LogFormat::text);
  }
}

void append_json(std::string& out, std::string_view time, LogLevel level, std::string_view event,
                 LogFields fields) {
  out += fmt::format(R"({{"ts":"{}","level":"{}","event":)", time, name_of(level));
  append_json_string(out, to_utf8(event));
  for (const LogField& field : fields) {
    // A field may not take the place of the line's own members.
    const bool taken = field.name == "ts" || field.name == "level" || field.name == "event";
    out += ',';
    append_json_string(out, std::string(field.name) + (taken ? "_" : ""));
    out += ':';
    append_value(out, field, LogFormat::json);
  }
  out += '}';
}

}  // namespace

std::string render_log_line(LogFormat format, LogLevel level, std::int64_t unix_us, std::string_view event,
                            LogFields fields) {
  const std::string time = timestamp(unix_us);
  std::string out;
  if (format == LogFormat::json) {
    append_json(out, time, level, event, fields);
  } else {
    out = time;
    append_text(out, level, event, fields);
  }
  return out;
}

void start_log(const LogOptions& options) {
  stop_log();
  auto started = std::make_unique<Running>();
  started->format = options.format;
  started->pool =
      std::make_shared<spdlog::details::thread_pool>(std::max<std::size_t>(options.queue_lines, 1), 1);
  started->logger =
      std::make_shared<spdlog::async_logger>("tidewire", std::make_shared<spdlog::sinks::stderr_sink_mt>(),
                                             started->pool, spdlog::async_overflow_policy::overrun_oldest);
  started->logger->set_pattern("%v");
  started->logger->set_level(spdlog::level::trace);
  running() = std::move(started);
  set_log_level(options.level);
}

void stop_log() {
  set_log_level(LogLevel::off);
  // The pool's end writes out its queue, and waits for it.
  running().reset();
}

void set_log_level(LogLevel level) { detail::level.store(level, std::memory_order_relaxed); }

std::uint64_t dropped_log_lines() { return running() ? running()->pool->overrun_counter() : 0; }

namespace detail {

void write_log_line(LogLevel line_level, std::string_view event, LogFields fields) {
  Running* log = running().get();
  if (!log) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::string line =
      render_log_line(log->format, line_level,
                      std::chrono::duration_cast<std::chrono::microseconds>(now).count(), event, fields);
  log->logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace detail

}  // namespace tidewire::telemetry
