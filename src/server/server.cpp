#include "server/server.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "config/reload.h"
#include "guard/shared_overload.h"
#include "log/rocksdb/rocksdb_log.h"
#include "server/directory_setup.h"
#include "server/key_fetcher.h"
#include "server/load_checked.h"
#include "server/shard.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace tidewire::server {

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitConfiguration = 2;
constexpr std::int64_t kDrainMostMs = 5'000;  // protocol §9

int complain(int exit_code, std::string_view message) {
  const std::string line = fmt::format("tidewire: {}\n", message);
  std::fwrite(line.data(), 1, line.size(), stderr);
  return exit_code;
}

class Process {
 public:
  Process(ServeRequest request, config::Loaded loaded)
      : request_(std::move(request)), settings_(loaded.settings), warnings_(std::move(loaded.warnings)) {}

  int run() {
    // Signals are taken by this thread alone, in wait(). The other threads inherit the mask, so it must
    // stand before the first of them, the log's: one that lacks it would let a signal end the process.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);

    start_log();
    for (const config::ConfigProblem& warning : warnings_)
      log::warn("configuration", {{"problem", warning.to_string()}});
    if (auto planned = plan(settings_); !planned)
      return refuse_start(kExitConfiguration, planned.error().to_string());
    if (settings_.tls()) {
      auto tls = net::TlsContext::load(settings_.server.tls_cert, settings_.server.tls_key);
      if (!tls) return refuse_start(kExitConfiguration, tls.error().message);
      tls_ = *tls;
    }
    const auto address = net::SocketAddress::parse(settings_.server.listen);
    if (!address) return refuse_start(kExitConfiguration, address.error().message);
    const auto cores = static_cast<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()));
    const auto count = static_cast<int>(std::min<std::int64_t>(
        settings_.server.shards > 0 ? settings_.server.shards : cores, guard::SharedOverload::kMostShards));
    auto sockets = net::open_listening_sockets(*address, count);
    if (!sockets) return refuse_start(kExitFailed, sockets.error().message);
    const net::SocketAddress bound = sockets->front().address();

    make_shards(static_cast<hub::ShardId>(count));
    open_directory();
    if (auto opened = open_log(); !opened) return refuse_start(kExitFailed, opened.error().message);
    std::vector<Shard*> all;
    for (auto& shard : shards_) all.push_back(shard.get());
    for (auto& shard : shards_) shard->meet(all, *log_);
    for (std::size_t i = 0; i < shards_.size(); ++i) shards_[i]->listen(std::move((*sockets)[i]));
    for (auto& shard : shards_)
      threads_.emplace_back([this, &shard] {
        shard->run();
        ++stopped_;
      });
    announce(bound);
    wait(signals);
    for (std::thread& thread : threads_) thread.join();
    fetcher_.reset();
    directory_.reset();
    log_.reset();  // what it still answers goes into mailboxes that nobody empties any more
    return 0;
  }

 private:
  // For whoever started it by hand, a plain line; for whoever collects JSON, a line of that.
  int refuse_start(int exit_code, std::string_view why) const {
    if (static_cast<telemetry::LogFormat>(settings_.log.format) != telemetry::LogFormat::json)
      return complain(exit_code, why);
    log::error("cannot start", {{"reason", why}});
    return exit_code;
  }

  void start_log() {
    telemetry::start_log({.level = static_cast<telemetry::LogLevel>(settings_.log.level),
                          .format = static_cast<telemetry::LogFormat>(settings_.log.format)});
  }

  std::expected<void, config::ConfigProblem> plan(const config::Settings& settings) {
    auto tenants = plan_tenants(settings, seeds_);
    if (!tenants) return std::unexpected(tenants.error());
    tenants_ = std::move(*tenants);
    namespaces_ = plan_namespaces(settings);
    return {};
  }

  Shard::Plan plan_for(hub::ShardId self) const {
    return {.self = self,
            .shards = static_cast<hub::ShardId>(shard_count_),
            .seeds = seeds_,
            .settings = settings_,
            .tenants = tenants_,
            .namespaces = namespaces_,
            .echo = request_.echo,
            .tls = tls_};
  }

  void make_shards(hub::ShardId count) {
    shard_count_ = count;
    const hub::Sessions::Shared shared{limits_, attempts_, limit_keys_,
                                       settings_.directory.url.empty() ? nullptr : &known_users_};
    for (hub::ShardId self = 0; self < count; ++self)
      shards_.push_back(std::make_unique<Shard>(
          plan_for(self), shared,
          Shard::Server{.need_keys = [this](hub::TenantId tenant) { need_keys(tenant); },
                        .ask_user = [this](hub::ShardId asker, hub::TenantId tenant,
                                           const std::string& user) { ask_user(asker, tenant, user); },
                        .save_revocation =
                            [this](hub::ShardId asker, log::Revocation revocation,
                                   std::function<void(Result<void>)> done) {
                              log_->save_revocation(
                                  std::move(revocation),
                                  [this, asker, done = std::move(done)](Result<void> saved) {
                                    shards_[asker]->loop().post([done, saved] { done(saved); });
                                  });
                            },
                        .components = [this] { return components(); },
                        .circuits =
                            [this](std::int64_t since_unix_ms) {
                              return api::CircuitReport{.circuits = circuits_.rows(),
                                                        .history = circuits_.history(since_unix_ms)};
                            },
                        .add_metrics = [this](telemetry::Snapshot& snapshot) { add_metrics(snapshot); },
                        .every_second =
                            [this](std::int64_t now_ms) {
                              log_->sweep(now_ms);
                              watch_log();
                            }}));
    fetcher_ = std::make_unique<KeyFetcher>(
        shards_.front()->loop(),
        auth::JwksRefresherOptions{.refresh_ms = settings_.auth.jwks_refresh_ms,
                                   .min_refresh_ms = settings_.auth.jwks_min_refresh_ms},
        circuits_, circuit_options(settings_),
        KeyFetcher::Told{.keys =
                             [this](hub::TenantId tenant, const std::shared_ptr<const auth::KeyRing>& keys) {
                               on_all([tenant, keys](Shard& shard) { shard.set_keys(tenant, keys); });
                             },
                         .unchanged =
                             [this](hub::TenantId tenant) {
                               on_all([tenant](Shard& shard) { shard.keys_unchanged(tenant); });
                             }});
    fetcher_->set_sources(key_sources());
    circuits_.add("log");
    for (const TenantPlan& tenant : tenants_) tenant_names_.push_back(tenant.name);
  }

  std::vector<KeySource> key_sources() const {
    std::vector<KeySource> sources;
    for (std::size_t i = 0; i < tenants_.size(); ++i)
      if (!tenants_[i].jwks_url.empty())
        sources.push_back({.tenant = static_cast<hub::TenantId>(i),
                           .name = tenants_[i].name,
                           .url = tenants_[i].jwks_url,
                           .ring = tenants_[i].keys});
    return sources;
  }

  Result<void> open_log() {
    std::error_code error;
    std::filesystem::create_directories(settings_.store.path, error);
    if (error)
      return fail(ErrorCode::unavailable, fmt::format("the data directory {} can't be made: {}",
                                                      settings_.store.path, error.message()));
    std::vector<log::RocksdbLog::Sink> sinks;
    for (auto& shard : shards_)
      sinks.emplace_back(
          [box = &shard->outcomes()](std::vector<log::Outcome>&& outcomes) { box->push(outcomes); });
    auto opened = log::RocksdbLog::open({.path = settings_.store.path}, std::move(sinks));
    if (!opened) return std::unexpected(opened.error());
    log_ = std::move(*opened);
    return {};
  }

  void open_directory() {
    directory_ =
        start_directory(settings_, known_users_, circuits_, [this](directory::UserDirectory::Told&& told) {
          for (const std::uint32_t asker : told.askers)
            shards_[asker]->loop().post([shard = shards_[asker].get(), key = told.key, state = told.state] {
              shard->user_answered(key, state);
            });
          if (told.state == guard::UserState::absent)
            on_all([question = told.question](Shard& shard) {
              shard.user_gone(question.tenant, question.user);
            });
        });
  }

  // On the asking shard's thread. Tenants do not change while the server runs.
  void ask_user(hub::ShardId asker, hub::TenantId tenant, const std::string& user) {
    const std::string& name = tenant_names_[tenant];
    directory_->ask(asker, limit_keys_.user(name, user), {.tenant = name, .user = user});
  }

  std::vector<api::Component> components() const {
    std::vector<api::Component> all{store_health(), circuit_health(circuits_)};
    if (directory_) all.push_back(directory_health(*directory_, circuits_));
    return all;
  }

  api::Component store_health() const {
    const log::RocksdbLog::Health health = log_->health();
    const bool damaged = health.damaged_channels > 0;
    const std::int64_t sync_us = log_->counts().last_sync_us;
    std::optional<double> latency_ms;
    if (sync_us >= 0) latency_ms = static_cast<double>(sync_us) / 1000;
    return {.name = "store",
            .state = !health.writable ? api::ComponentState::failed
                     : damaged        ? api::ComponentState::degraded
                                      : api::ComponentState::ok,
            .latency_ms = latency_ms,
            .detail = !health.writable ? health.reason : health.damage};
  }

  // The store guards itself: after its first failed sync it takes nothing more until it is opened anew, since
  // nobody knows what is on the disk. That is an open circuit, and shown as one.
  void watch_log() {
    if (log_circuit_ == guard::CircuitState::open) return;
    const log::RocksdbLog::Health health = log_->health();
    if (health.writable) return;
    log::error("the store is read-only until a restart", {{"reason", health.reason}});
    const guard::CircuitTransition opened{.from = log_circuit_, .to = guard::CircuitState::open};
    log_circuit_ = opened.to;
    circuits_.record("log", opened, shards_.front()->loop().now());
  }

  void add_metrics(telemetry::Snapshot& snapshot) {
    add_circuit_metrics(snapshot, circuits_);
    if (directory_) add_directory_metrics(snapshot, *directory_, known_users_);
    const log::RocksdbLog::Counts counts = log_->counts();
    for (std::size_t i = 0; i < guard::kAnomalyKinds; ++i) {
      const auto kind = static_cast<guard::AnomalyKind>(i);
      snapshot.counter("tidewire_anomalies_total", "Reports of unusual behaviour, by kind.",
                       static_cast<double>(limits_.anomalies().count(kind)),
                       {{"kind", std::string(name_of(kind))}});
    }
    snapshot.gauge("tidewire_log_writable", "1 while durable messages are accepted.",
                   log_->health().writable ? 1 : 0);
    snapshot.counter("tidewire_log_entries_total", "Entries written to the log.",
                     static_cast<double>(counts.entries));
    snapshot.counter("tidewire_log_syncs_total", "Groups of entries that were synced to the disk.",
                     static_cast<double>(counts.groups));
    if (counts.last_sync_us >= 0)
      snapshot.gauge("tidewire_log_sync_seconds", "How long the last group took to be written and synced.",
                     static_cast<double>(counts.last_sync_us) / 1e6);
    snapshot.counter("tidewire_dropped_log_lines_total", "Log lines given up because their queue was full.",
                     static_cast<double>(telemetry::dropped_log_lines()));
  }

  void need_keys(hub::TenantId tenant) {
    shards_.front()->loop().post([this, tenant] { fetcher_->need(tenant); });
  }

  template <class Action>
  void on_all(Action action) {
    for (auto& shard : shards_) {
      Shard* target = shard.get();
      target->loop().post([target, action] { action(*target); });
    }
  }

  void announce(const net::SocketAddress& bound) {
    if (settings_.development)
      log::warn(
          "development mode: anonymous connections, wide limits and a public secret; not for production");
    std::printf("tidewire ready on %s://%s\n", settings_.tls() ? "https" : "http", bound.to_string().c_str());
    std::fflush(stdout);
    if (settings_.demo.enabled)
      log::info(
          "demo page",
          {{"url", fmt::format("{}://{}/demo/", settings_.tls() ? "https" : "http", bound.to_string())}});
  }

  // Until all shards have stopped, which after a drain they do together: each is home to channels that the
  // others' connections use.
  void wait(const sigset_t& signals) {
    bool draining = false;
    while (stopped_ < threads_.size()) {
      if (draining && std::ranges::all_of(shards_, [](const auto& shard) { return shard->drained(); }))
        for (auto& shard : shards_) shard->loop().stop();
      const timespec a_moment{.tv_sec = 0, .tv_nsec = 50'000'000};
      const int signal =
          draining ? sigtimedwait(&signals, nullptr, &a_moment) : sigwaitinfo(&signals, nullptr);
      if (signal == SIGHUP) {
        reload();
      } else if (signal == SIGTERM || signal == SIGINT) {
        // The log is not stopped here: shards may be writing to it.
        if (draining) std::_Exit(0);
        draining = true;
        const std::int64_t within_ms = std::min(settings_.server.drain_timeout_ms, kDrainMostMs);
        log::info("draining", {{"within_ms", within_ms}});
        on_all([within_ms](Shard& shard) { shard.drain(within_ms); });
      }
    }
  }

  void reload() {
    auto loaded = load_checked(request_.input);
    if (!loaded) {
      for (const config::ConfigProblem& problem : loaded.error())
        log::error("reload refused", {{"problem", problem.to_string()}});
      return;
    }
    const config::Changes changes = config::compare(settings_, loaded->settings);
    const config::Settings merged = config::apply_reload(settings_, loaded->settings);
    std::shared_ptr<const net::TlsContext> tls = tls_;
    if (merged.tls()) {
      // The files may have changed where their names have not.
      auto fresh = net::TlsContext::load(merged.server.tls_cert, merged.server.tls_key);
      if (!fresh) return log::error("reload refused", {{"problem", fresh.error().message}});
      tls = *fresh;
    }
    if (auto planned = plan(merged); !planned)
      return log::error("reload refused", {{"problem", planned.error().to_string()}});
    settings_ = merged;
    tls_ = tls;
    telemetry::set_log_level(static_cast<telemetry::LogLevel>(settings_.log.level));
    for (const std::string& key : changes.needs_restart) log::warn("needs a restart", {{"key", key}});
    for (const std::string& key : changes.reloadable) log::info("reloaded", {{"key", key}});
    // Each shard gets its own copy of the plan, since this thread may reload again meanwhile.
    struct Copy {
      config::Settings settings;
      std::vector<TenantPlan> tenants;
      std::vector<hub::Namespace> namespaces;
    };
    auto copy = std::make_shared<const Copy>(Copy{settings_, tenants_, namespaces_});
    // It is done when the last of them, and the fetcher of keys, has taken it.
    auto left = std::make_shared<std::atomic<std::size_t>>(shard_count_ + 1);
    const auto taken = [left] {
      if (left->fetch_sub(1) == 1) log::info("reload done");
    };
    for (hub::ShardId self = 0; self < shard_count_; ++self)
      shards_[self]->loop().post([this, self, copy, tls, taken] {
        shards_[self]->reload({.self = self,
                               .shards = shard_count_,
                               .seeds = seeds_,
                               .settings = copy->settings,
                               .tenants = copy->tenants,
                               .namespaces = copy->namespaces,
                               .echo = request_.echo,
                               .tls = tls});
        taken();
      });
    shards_.front()->loop().post([this, sources = key_sources(), taken] {
      fetcher_->set_sources(sources);
      taken();
    });
  }

  ServeRequest request_;
  config::Settings settings_;
  std::vector<config::ConfigProblem> warnings_;
  const Seeds seeds_ = draw_seeds();
  const guard::LimitKeys limit_keys_{seeds_.hash};
  guard::SharedLimits limits_;
  guard::KnownUsers known_users_{known_users_options(settings_)};
  guard::CircuitBoard circuits_{[](std::string_view circuit, guard::CircuitTransition change) {
    log::warn("circuit", {{"circuit", circuit}, {"from", name_of(change.from)}, {"to", name_of(change.to)}});
  }};
  guard::Attempts attempts_{seeds_.names};
  std::vector<TenantPlan> tenants_;
  std::vector<hub::Namespace> namespaces_;
  std::shared_ptr<const net::TlsContext> tls_;
  hub::ShardId shard_count_ = 1;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::unique_ptr<KeyFetcher> fetcher_;
  std::unique_ptr<directory::UserDirectory> directory_;            // tells the shards
  guard::CircuitState log_circuit_ = guard::CircuitState::closed;  // the first shard's
  std::vector<std::string> tenant_names_;                          // by id
  std::unique_ptr<log::RocksdbLog> log_;  // goes before the shards, into whose mailboxes it answers
  std::vector<std::thread> threads_;
  std::atomic<std::size_t> stopped_{0};
};

}  // namespace

int serve(const ServeRequest& request) {
  auto loaded = load_checked(request.input);
  if (!loaded) {
    for (const config::ConfigProblem& problem : loaded.error()) complain(0, problem.to_string());
    return kExitConfiguration;
  }
  const int exit_code = Process(request, std::move(*loaded)).run();
  telemetry::stop_log();
  return exit_code;
}

}  // namespace tidewire::server
