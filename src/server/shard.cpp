#include "server/shard.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "auth/jwt.h"
#include "hub/dispatch_message.h"
#include "telemetry/log.h"
#include "wire/http_request.h"

namespace tidewire::server {

namespace {

constexpr std::int64_t kTickMs = 100;

hub::Tenants make_tenants(const std::vector<TenantPlan>& plans,
                          const std::shared_ptr<const auth::RevocationList>& revocations) {
  hub::Tenants tenants;
  for (const TenantPlan& plan : plans)
    tenants.push_back({.id = static_cast<hub::TenantId>(tenants.size()),
                       .name = plan.name,
                       .limits = plan.limits,
                       .verifier = auth::Verifier(plan.verifier, plan.keys, revocations)});
  return tenants;
}

// The host without its port, and without the dot that makes a name absolute.
std::string_view host_name(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos)
    host = host.substr(0, colon);
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

std::vector<std::pair<std::string, hub::TenantId>> hosts_of(const std::vector<TenantPlan>& plans) {
  std::vector<std::pair<std::string, hub::TenantId>> hosts;
  for (std::size_t i = 0; i < plans.size(); ++i)
    for (const std::string& host : plans[i].hosts)
      hosts.emplace_back(host_name(host), static_cast<hub::TenantId>(i));
  return hosts;
}

// Memory that the process holds, in bytes; 0 where the system does not say. Pages of files do not count: the
// system takes them back when it needs them.
std::int64_t held_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t whole = 0, resident = 0, of_files = 0;
  statm >> whole >> resident >> of_files;
  return (resident - of_files) * ::sysconf(_SC_PAGESIZE);
}

// The time, mono, as of this very call.
std::int64_t now_us(const net::Loop& loop) { return loop.now().mono_us + loop.elapsed_us(); }

// The same near `limit_bytes` without what the allocator keeps for later: after one peak that would look like
// use for ever. Giving it back takes its time, of which this spends a twentieth at most. One caller at a
// time.
std::int64_t used_bytes(std::int64_t limit_bytes, const net::Loop& loop, std::int64_t now_ms) {
  static std::int64_t next_ms = 0;
  const std::int64_t held = held_bytes();
  if (static_cast<double>(held) < guard::Overload::kMemoryRelief * static_cast<double>(limit_bytes) ||
      now_ms < next_ms)
    return held;
  const std::int64_t began_us = now_us(loop);
  ::malloc_trim(0);
  next_ms = now_ms + std::max<std::int64_t>(1000, 20 * (now_us(loop) - began_us) / 1000);
  return held_bytes();
}

}  // namespace

Shard::Shard(const Plan& plan, hub::Sessions::Shared shared, Server server)
    : self_(plan.self),
      echo_(plan.echo),
      server_(std::move(server)),
      inbox_(loop_.waker()),
      outgoing_(plan.shards),
      tls_(plan.tls),
      revocations_(std::make_shared<auth::RevocationList>()),
      namespaces_(plan.namespaces),
      tenants_(make_tenants(plan.tenants, revocations_)),
      hosts_(hosts_of(plan.tenants)),
      shared_(shared),
      outcomes_(loop_.waker()),
      home_(
          home_options(plan.settings, plan.seeds, plan.tenants, plan.self, plan.shards), namespaces_,
          plan.seeds.names + plan.self,
          [this](hub::ShardId to, hub::Message&& message) { post(to, std::move(message)); },
          [this](log::Operation&& operation) { operations_.push_back(std::move(operation)); }),
      gateway_(gateway_options(plan.settings, plan.echo), loop_, tenants_, shared,
               plan.seeds.names ^ (std::uint64_t{plan.self + 1u} << 32)),
      sessions_(session_options(plan.settings, plan.seeds, plan.self, plan.shards), namespaces_, tenants_,
                shared, gateway_,
                [this](hub::ShardId to, hub::Message&& message) { post(to, std::move(message)); }),
      calls_(plan.shards, plan.seeds.hash, namespaces_,
             [this](hub::ShardId to, hub::Message&& message) { post(to, std::move(message)); }),
      router_(api_options(plan.settings, plan.tenants), calls_, sessions_, tenants_, shared,
              {.health = [this] { return health(); },
               .find_tenant = [this](std::string_view host,
                                     std::string_view token) { return tenant_for(host, token); },
               .fetch_keys = [this](hub::TenantId tenant) { server_.need_keys(tenant); },
               .ask_user = [this](hub::TenantId tenant,
                                  const std::string& user) { server_.ask_user(self_, tenant, user); },
               // The question to all shards that follows carries the revocation into their lists.
               .revoke =
                   [this](hub::TenantId tenant, std::string_view user, std::int64_t before_ms,
                          std::function<void(Result<void>)> done) {
                     const std::string& name = tenants_[tenant].name;
                     if (!revocations_->has_room_for(name, user))
                       return done(fail(ErrorCode::unavailable,
                                        fmt::format("the tokens of {} users are revoked, more can't be",
                                                    auth::RevocationList::kEntriesMax)));
                     server_.save_revocation(
                         self_, {.tenant = name, .user_id = std::string(user), .before_ms = before_ms},
                         std::move(done));
                   },
               .circuits = server_.circuits,
               .clock_us = [this] { return now_us(loop_); },
               .add_metrics = [this](telemetry::Snapshot& snapshot) { server_.add_metrics(snapshot); }},
              loop_.now()),
      ticker_([this] { tick(); }),
      due_([this] { due_at_ms_ = kNever; }),
      rechecks_per_tick_(static_cast<double>(plan.settings.directory.rechecks_per_second) * kTickMs / 1000 /
                         plan.shards),
      recheck_every_ms_(std::max<std::int64_t>(plan.settings.directory.cache_ttl_ms, 1000)),
      overload_limits_(overload_limits(plan.settings)) {
  calls_.heed(shared_.limits.overload());
  gateway_.connect(
      sessions_,
      [this](Handle connection, const wire::HttpRequest& request, const IpAddress& client) {
        router_.handle(request, client, loop_.now(), [this, connection](const wire::HttpAnswer& answer) {
          gateway_.respond(connection, answer);
        });
      },
      [this](const wire::HttpRequest& head, const IpAddress& client) {
        return router_.refuse_by_head(head, client, loop_.now());
      },
      [this](const wire::HttpRequest& request, int status) { router_.note_answered(request, status); },
      [this](std::string_view host, std::string_view token) { return tenant_for(host, token); },
      [this](hub::TenantId tenant) { server_.need_keys(tenant); },
      [this](hub::TenantId tenant, const std::string& user) { server_.ask_user(self_, tenant, user); });
  loop_.on_wake([this] {
    inbox_.take(inbox_now_);
    for (hub::Envelope& envelope : inbox_now_) dispatch(envelope.from, std::move(envelope.message));
    inbox_now_.clear();
    outcomes_.take(outcomes_now_);
    for (log::Outcome& outcome : outcomes_now_) home_.handle(std::move(outcome), loop_.now());
    outcomes_now_.clear();
  });
  loop_.on_turn_end([this] { end_turn(); });
  loop_.timers().schedule(ticker_, loop_.now().mono_ms() + kTickMs);
}

void Shard::meet(std::vector<Shard*> shards, log::Log& log) {
  shards_ = std::move(shards);
  log_ = &log;
  for (const log::Revocation& revocation : log.revocations()) {
    revocations_->add({.tenant = revocation.tenant,
                       .user_id = revocation.user_id,
                       .revoked_before_ms = revocation.before_ms});
  }
}

void Shard::listen(net::ListeningSocket socket) {
  listener_ = std::make_unique<net::Listener>(
      loop_, std::move(socket), [this](int fd, const net::SocketAddress& peer) { accept(fd, peer); });
}

void Shard::accept(int fd, const net::SocketAddress& peer) {
  const auto bytes = peer.ip_bytes();
  gateway_.accept(tls_ ? net::Stream::tls_server(fd, *tls_) : net::Stream(fd), IpAddress::from_v6(bytes));
}

// By Host, else by what the token claims, else `default` (protocol §9, tenants).
hub::TenantId Shard::tenant_for(std::string_view host, std::string_view token) const {
  const std::string_view name = host_name(host);
  for (const auto& [known, tenant] : hosts_)
    if (wire::equal_ignoring_case(known, name)) return tenant;
  if (tenants_.size() == 1 || token.empty()) return 0;
  const auto claimed = auth::claimed_tenant(token);
  const auto named = claimed ? std::ranges::find(tenants_, *claimed, &hub::Tenant::name) : tenants_.end();
  return named == tenants_.end() ? hub::TenantId{0} : named->id;
}

void Shard::post(hub::ShardId to, hub::Message&& message) {
  if (to == self_)
    local_.push_back(std::move(message));
  else
    outgoing_[to].push_back({.from = self_, .message = std::move(message)});
}

void Shard::dispatch(hub::ShardId from, hub::Message&& message) {
  hub::dispatch_message(
      home_, sessions_, calls_, [this](hub::ShardId asker, hub::Ask&& ask) { answer(asker, std::move(ask)); },
      from, std::move(message), loop_.now());
}

void Shard::answer(hub::ShardId from, hub::Ask&& ask) {
  // The list must know before connections are judged by it.
  if (const auto* revoke = std::get_if<hub::RevokeUser>(&ask.question)) {
    revocations_->add({.tenant = tenants_[revoke->tenant].name,
                       .user_id = revoke->user_id,
                       .revoked_before_ms = revoke->before_ms});
  }
  if (auto* list = std::get_if<hub::ListChannels>(&ask.question))
    return home_.answer_list(from, ask.reply, std::move(*list));
  hub::AnswerPart part = sessions_.answer(ask.question, loop_.now());
  if (std::holds_alternative<hub::CountThings>(ask.question)) {
    part.tenants = tenant_counts();
    part.counts = counts(part.tenants);
    if (const auto window = std::get<hub::CountThings>(ask.question).window_us) {
      hub::Analytics past = sessions_.recent().over(*window, part.tenants, loop_.now());
      past.calls_counted = router_.answered().by_route();
      part.analytics = std::make_shared<hub::Analytics>(std::move(past));
    }
  }
  post(from, hub::Answer{.reply = ask.reply, .part = std::move(part)});
}

std::vector<hub::ShardCounts> Shard::tenant_counts() const {
  std::vector<hub::ShardCounts> tenants = sessions_.tenant_counts();
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    const gateway::GatewayCounts& moved = gateway_.tenant_counts()[i];
    tenants[i].messages_out = moved.messages_out;
    tenants[i].bytes_in = moved.bytes_in;
    tenants[i].bytes_out = moved.bytes_out;
    if (i < home_.sizes().size()) tenants[i].channels = home_.sizes()[i];
  }
  return tenants;
}

hub::ShardCounts Shard::counts(const std::vector<hub::ShardCounts>& tenants) const {
  hub::ShardCounts counts = hub::sum_of(tenants);
  const gateway::GatewayCounts& moved = gateway_.counts();
  counts.messages_out += moved.messages_out;
  counts.bytes_in += moved.bytes_in;
  counts.bytes_out += moved.bytes_out;
  counts.send_circuits_open = moved.send_circuits_open;
  counts.send_circuits_opened = moved.send_circuits_opened;
  counts.loop_lag_us = static_cast<std::uint64_t>(std::max(loop_lag_us_, loop_lag_now_us_));
  return counts;
}

void Shard::dispatch_local() {
  while (!local_.empty()) {
    local_now_.swap(local_);
    for (hub::Message& message : local_now_) dispatch(self_, std::move(message));
    local_now_.clear();
  }
  if (!operations_.empty()) log_->submit(self_, std::exchange(operations_, {}), loop_.now().unix_ms);
}

void Shard::end_turn() {
  longest_turn_us_ = std::max(longest_turn_us_, loop_.last_turn_us());
  home_.show_due(loop_.now());
  dispatch_local();
  gateway_.end_turn();
  sessions_.end_turn(loop_.now(), loop_.elapsed_us());
  for (std::size_t to = 0; to < outgoing_.size(); ++to)
    if (!outgoing_[to].empty()) shards_[to]->inbox().push(outgoing_[to]);
  if (const std::int64_t next_ms = home_.next_due_ms(); next_ms < due_at_ms_) {
    due_at_ms_ = next_ms;
    loop_.timers().schedule(due_, next_ms);
  }
  // What the end of the turn has caused is the next turn's, which then does not wait.
  if (!local_.empty()) loop_.defer([] {});
  if (drain_by_ms_ != 0)
    drained_.store(gateway_.size() == 0 || loop_.now().mono_ms() >= drain_by_ms_, std::memory_order_relaxed);
}

api::Health Shard::health() const {
  api::Health health{.draining = gateway_.draining(), .components = server_.components()};
  health.components.push_back(
      {.name = "listener",
       .state = api::ComponentState::ok,
       .latency_ms = static_cast<double>(std::max(loop_lag_us_, loop_lag_now_us_)) / 1000,
       .detail = {}});
  return health;
}

// How long turns take, for all shards to act by.
void Shard::watch_load() {
  const std::int64_t elapsed_us = loop_.elapsed_us();
  const std::int64_t longest_us = std::max(std::exchange(longest_turn_us_, 0), elapsed_us);
  loop_lag_now_us_ = std::max(loop_lag_now_us_, longest_us);
  if (ticks_ % (1000 / kTickMs) == 0) loop_lag_us_ = std::exchange(loop_lag_now_us_, 0);
  guard::SharedOverload& overload = shared_.limits.overload();
  const std::int64_t now_ms = (loop_.now().mono_us + elapsed_us) / 1000;
  overload.report(self_, longest_us, loop_.waited_us() - waited_us_, now_ms);
  waited_us_ = loop_.waited_us();
  const auto memory = [&] { return used_bytes(overload_limits_.max_memory, loop_, now_ms); };
  const auto change = overload.judge(overload_limits_, memory, now_ms);
  if (!change) return;
  const auto level = change->to > change->from ? telemetry::LogLevel::warn : telemetry::LogLevel::info;
  const auto write = level == telemetry::LogLevel::warn ? log::warn : log::info;
  write("overload", {{"step", guard::name_of(change->to)},
                     {"was", guard::name_of(change->from)},
                     {"pressure", overload.pressure()}});
}

// Descriptors are the process's, so one shard speaks for all.
void Shard::watch_descriptors() {
  constexpr std::int64_t kEveryMs = 10'000;
  static std::atomic<std::int64_t> next_ms{0};
  if (listener_ == nullptr || listener_->exhausted() == exhausted_) return;
  exhausted_ = listener_->exhausted();
  const std::int64_t now_ms = loop_.now().mono_ms();
  std::int64_t due_ms = next_ms.load();
  if (now_ms < due_ms || !next_ms.compare_exchange_strong(due_ms, now_ms + kEveryMs)) return;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  log::warn("out of file descriptors or socket memory: connections are turned away",
            {{"limit", static_cast<std::uint64_t>(limit.rlim_cur)}});
}

void Shard::log_anomalies() {
  for (const guard::AnomalyReport& report : shared_.limits.anomalies().take_new())
    log::warn("anomaly", {{"kind", name_of(report.kind)},
                          {"of", report.population ? "everybody" : "user"},
                          {"tenant", tenants_[report.tenant].name},
                          {"user", report.user},
                          {"address", report.address},
                          {"evidence", report.evidence},
                          {"score", report.score},
                          {"action", name_of(report.action)}});
}

void Shard::tick() {
  loop_.timers().schedule(ticker_, loop_.now().mono_ms() + kTickMs);
  home_.tick(loop_.now());
  ++ticks_;
  watch_load();
  watch_descriptors();
  sessions_.pass_health(loop_.now());
  sessions_.pass_reviews();
  if (sessions_.recent().due(loop_.now())) sessions_.recent().tick(tenant_counts(), loop_.now());
  router_.tick(loop_.now());
  if (shared_.users != nullptr) recheck_users();
  if (self_ == 0) sessions_.judge_calls(loop_.now());
  if (self_ == 0 && ticks_ % (1000 / kTickMs) == 0) {
    server_.every_second(loop_.now().unix_ms);
    shared_.limits.sweep(loop_.now().mono_ms());
    shared_.attempts.sweep(loop_.now().mono_ms());
    if (const auto dry = shared_.limits.dry_run().take(); dry.requests > 0)
      log::warn("rate limits would have refused",
                {{"requests", dry.requests}, {"tenant", dry.tenant}, {"user", dry.user}});
    if (shared_.users != nullptr) shared_.users->sweep(loop_.now().mono_ms());
    shared_.limits.anomalies().sweep(loop_.now().mono_ms());
    log_anomalies();
  }
}

// A user who was deleted while connected is noticed: everyone has a turn once in `directory.cache_ttl`, or
// as often as `directory.rechecks_per_second` lets them.
void Shard::recheck_users() {
  const double wanted =
      static_cast<double>(sessions_.users()) * kTickMs / static_cast<double>(recheck_every_ms_);
  recheck_credit_ += std::min(wanted, rechecks_per_tick_);
  const auto count = static_cast<std::size_t>(recheck_credit_);
  if (count == 0) return;
  recheck_credit_ -= static_cast<double>(count);
  for (const auto& [tenant, user] : sessions_.next_users(count)) {
    const guard::LimitKey key = shared_.keys.user(tenants_[tenant].name, user);
    if (!shared_.users->find(key, loop_.now().mono_ms())) server_.ask_user(self_, tenant, user);
  }
}

void Shard::user_answered(const guard::LimitKey& user, guard::UserState state) {
  gateway_.user_answered(user, state);
  router_.user_answered(loop_.now(), user, state);
}

void Shard::user_gone(std::string_view tenant, const std::string& user_id) {
  const auto found = std::ranges::find(tenants_, tenant, &hub::Tenant::name);
  if (found != tenants_.end()) sessions_.user_gone(found->id, user_id);
}

void Shard::set_keys(hub::TenantId tenant, std::shared_ptr<const auth::KeyRing> keys) {
  tenants_[tenant].verifier.set_keys(std::move(keys));
  keys_unchanged(tenant);
}

void Shard::keys_unchanged(hub::TenantId tenant) {
  gateway_.keys_changed(tenant);
  router_.keys_changed(loop_.now(), tenant);
}

void Shard::reload(const Plan& plan) {
  tls_ = plan.tls;
  if (namespaces_.replace(plan.namespaces)) sessions_.begin_reviews();
  hosts_ = hosts_of(plan.tenants);
  for (const TenantPlan& tenant : plan.tenants) {
    const auto found = std::ranges::find(tenants_, tenant.name, &hub::Tenant::name);
    if (found == tenants_.end()) continue;  // a new tenant needs a restart, which the log says
    found->limits = tenant.limits;
    found->verifier.set_options(tenant.verifier);
    // With a key set the new ring comes when it has been fetched; until then the old one serves.
    if (tenant.keys->jwks_state() == auth::JwksState::not_configured) set_keys(found->id, tenant.keys);
  }
  overload_limits_ = overload_limits(plan.settings);
  gateway_.set_options(gateway_options(plan.settings, echo_));
  home_.reload(home_options(plan.settings, plan.seeds, plan.tenants, self_, plan.shards));
  sessions_.reload(session_options(plan.settings, plan.seeds, self_, plan.shards), loop_.now());
  router_.reload(api_options(plan.settings, plan.tenants));
}

void Shard::drain(std::int64_t within_ms) {
  if (drain_by_ms_ != 0) return;
  drain_by_ms_ = loop_.now().mono_ms() + within_ms + 500;  // a moment for the last close frames
  gateway_.drain(within_ms);
}

}  // namespace tidewire::server
