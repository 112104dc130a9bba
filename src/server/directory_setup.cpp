#include "server/directory_setup.h"

#include <fmt/format.h>

#include <algorithm>

#include "directory/http_source.h"
#include "directory/postgres_source.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "telemetry/redact.h"

namespace tidewire::server {

namespace {

// A database answers from one connection; a back end gets fewer at once.
constexpr std::size_t kQuestionsAtDatabase = 256;
constexpr std::size_t kQuestionsAtBackEnd = 32;

bool is_http_url(const std::string& url) { return url.starts_with("http"); }

}  // namespace

guard::KnownUsersOptions known_users_options(const config::Settings& settings) {
  return {.ttl_ms = settings.directory.cache_ttl_ms,
          .absent_ttl_ms = settings.directory.absent_ttl_ms,
          .stale_ttl_ms = settings.directory.stale_ttl_ms,
          .entries = static_cast<std::size_t>(settings.directory.cache_entries)};
}

guard::CircuitOptions circuit_options(const config::Settings& settings) {
  return {.failures = static_cast<std::uint16_t>(std::min<std::int64_t>(settings.circuit.failures, 0xffff)),
          .probes = static_cast<std::uint16_t>(settings.circuit.probes),
          .open_ms = settings.circuit.open_ms};
}

std::expected<void, std::string> check_directory(const config::Settings& settings) {
  const std::string& url = settings.directory.url;
  if (url.empty() || is_http_url(url)) return {};
  return directory::PostgresSource::check_url(url);
}

std::unique_ptr<directory::UserDirectory> start_directory(const config::Settings& settings,
                                                          guard::KnownUsers& known,
                                                          guard::CircuitBoard& board,
                                                          directory::UserDirectory::Tell tell) {
  const config::DirectorySettings& how = settings.directory;
  if (how.url.empty()) return nullptr;
  const bool is_http = is_http_url(how.url);
  const auto make_source = [&](net::Loop& loop) -> std::unique_ptr<directory::Source> {
    if (is_http)
      return std::make_unique<directory::HttpSource>(
          loop,
          directory::HttpSourceOptions{.url = how.url, .secret = how.secret, .timeout_ms = how.timeout_ms});
    return std::make_unique<directory::PostgresSource>(
        loop,
        directory::PostgresSourceOptions{.url = how.url, .query = how.query, .timeout_ms = how.timeout_ms});
  };
  return std::make_unique<directory::UserDirectory>(
      directory::UserDirectoryOptions{.under_way = is_http ? kQuestionsAtBackEnd : kQuestionsAtDatabase,
                                      .circuit = circuit_options(settings)},
      known, board, make_source, std::move(tell), [](std::string_view reason) {
        log::warn("user directory does not answer", {{"reason", log::redact(reason)}});
      });
}

api::Component directory_health(const directory::UserDirectory& directory, const guard::CircuitBoard& board) {
  const directory::UserDirectory::Counts counts = directory.counts();
  api::Component component{
      .name = "directory", .state = api::ComponentState::ok, .latency_ms = {}, .detail = {}};
  if (counts.latency_us >= 0) component.latency_ms = static_cast<double>(counts.latency_us) / 1000;
  for (const guard::CircuitBoard::Row& row : board.rows()) {
    if (row.name != "directory") continue;
    if (row.state != guard::CircuitState::closed) {
      component.state = api::ComponentState::failed;
      component.detail = fmt::format("its circuit is {}", name_of(row.state));
    } else if (row.failing) {
      component.state = api::ComponentState::degraded;
      component.detail = "the last question had no answer";
    }
  }
  return component;
}

void add_directory_metrics(telemetry::Snapshot& snapshot, const directory::UserDirectory& directory,
                           guard::KnownUsers& known) {
  const directory::UserDirectory::Counts counts = directory.counts();
  const auto questions = [&](std::string_view outcome, std::uint64_t value) {
    snapshot.counter("tidewire_directory_questions_total", "Questions to the user directory, by outcome.",
                     static_cast<double>(value), {{"outcome", std::string(outcome)}});
  };
  questions("exists", counts.exists);
  questions("absent", counts.absent);
  questions("failed", counts.failed);
  questions("refused", counts.refused);
  snapshot.gauge("tidewire_directory_waiting_users", "Users whom the directory is being asked for.",
                 static_cast<double>(counts.waiting));
  snapshot.gauge("tidewire_directory_cached_users", "Users whose answers are kept.",
                 static_cast<double>(known.size()));
}

api::Component circuit_health(const guard::CircuitBoard& board) {
  api::Component component{
      .name = "circuits", .state = api::ComponentState::ok, .latency_ms = {}, .detail = {}};
  for (const guard::CircuitBoard::Row& row : board.rows()) {
    const bool closed = row.state == guard::CircuitState::closed;
    if (closed && !row.failing) continue;
    component.state = api::ComponentState::degraded;
    component.detail += fmt::format("{}{} is {}", component.detail.empty() ? "" : ", ", row.name,
                                    closed ? "failing" : name_of(row.state));
  }
  return component;
}

void add_circuit_metrics(telemetry::Snapshot& snapshot, const guard::CircuitBoard& board) {
  for (const guard::CircuitBoard::Row& row : board.rows()) {
    using enum guard::CircuitState;
    snapshot.gauge("tidewire_circuit_state", "A circuit breaker: 0 closed, 1 half open, 2 open.",
                   row.state == closed      ? 0
                   : row.state == half_open ? 1
                                            : 2,
                   {{"circuit", row.name}});
    snapshot.counter("tidewire_circuit_opened_total", "Times a circuit breaker has opened.",
                     static_cast<double>(row.opened), {{"circuit", row.name}});
  }
}

}  // namespace tidewire::server
