#include "server/key_fetcher.h"

#include <algorithm>

#include "auth/jwk.h"
#include "telemetry/log.h"
#include "telemetry/redact.h"

namespace tidewire::server {

namespace {
constexpr std::int64_t kFetchTimeoutMs = 5'000;
}

KeyFetcher::KeyFetcher(net::Loop& loop, auth::JwksRefresherOptions options, guard::CircuitBoard& board,
                       guard::CircuitOptions circuit, Told told)
    : loop_(loop),
      options_(options),
      board_(board),
      circuit_options_(circuit),
      told_(std::move(told)),
      client_(net::HttpClient::Options{}),
      timer_([this] { look(); }) {}

void KeyFetcher::set_sources(std::vector<KeySource> sources) {
  sources_.clear();
  ++generation_;
  for (KeySource& source : sources) {
    auto refresher = std::make_unique<auth::JwksRefresher>(options_, source.ring);
    guard::Circuit& circuit = circuit_of(source.name);
    sources_.push_back({std::move(source), std::move(refresher), generation_, &circuit});
  }
  look();
}

guard::Circuit& KeyFetcher::circuit_of(const std::string& tenant) {
  const std::string name = tenant == "default" ? "jwks" : "jwks." + tenant;
  return circuits_.try_emplace(tenant, board_, name, circuit_options_).first->second;
}

void KeyFetcher::need(hub::TenantId tenant) {
  const auto found =
      std::ranges::find(sources_, tenant, [](const Source& source) { return source.what.tenant; });
  if (found == sources_.end() ||
      found->refresher->need_keys(loop_.now()) == auth::JwksRefresher::Demand::give_up)
    return told_.unchanged(tenant);
  look();
}

// Starts what is due, and looks again when the next is.
void KeyFetcher::look() {
  std::int64_t next_us = INT64_MAX;
  for (Source& source : sources_) {
    if (source.refresher->due(loop_.now())) fetch(source);
    next_us = std::min(next_us, source.refresher->due_at_us());
  }
  if (next_us != INT64_MAX) loop_.timers().schedule(timer_, next_us / 1000 + 1);
}

void KeyFetcher::fetch(Source& source) {
  const auto permit = source.circuit->ask(loop_.now());
  if (!permit.ticket) {
    source.refresher->postpone(loop_.now().mono_us + permit.retry_after_ms * 1000);
    return told_.unchanged(source.what.tenant);
  }
  source.refresher->started(loop_.now());
  client_.request(
      {.method = "GET",
       .url = source.what.url,
       .headers = {{"Accept", "application/jwk-set+json, application/json"}},
       .body = {},
       .timeout_ms = kFetchTimeoutMs,
       .max_bytes = auth::kMaxJwksBytes,
       .follow_redirects = true,
       .allow_private = true},  // the operator named it
      loop_,
      [this, generation = source.generation, tenant = source.what.tenant,
       ticket = *permit.ticket](const net::HttpReply& reply) { fetched(generation, tenant, ticket, reply); });
}

void KeyFetcher::fetched(std::uint64_t generation, hub::TenantId tenant, guard::CircuitBreaker::Ticket ticket,
                         const net::HttpReply& reply) {
  const auto found = std::ranges::find_if(sources_, [&](const Source& source) {
    return source.generation == generation && source.what.tenant == tenant;
  });
  if (found == sources_.end()) return;  // a reload has replaced it
  bool changed = false;
  bool read = false;
  if (reply.received() && reply.status == 200) {
    const auto update = found->refresher->fetched(reply.body, loop_.now());
    changed = update.changed;
    read = update.read;
    for (const std::string& remark : update.remarks)
      log::warn("key set", {{"tenant", found->what.name}, {"remark", remark}});
  } else {
    found->refresher->failed(loop_.now());
    log::warn("key set could not be fetched", {{"tenant", found->what.name},
                                               {"url", log::redact(found->what.url)},
                                               {"status", reply.status},
                                               {"reason", reply.error}});
  }
  if (read)
    found->circuit->succeeded(ticket, loop_.now());
  else
    found->circuit->failed(ticket, loop_.now());
  if (changed)
    told_.keys(tenant, found->refresher->ring());
  else
    told_.unchanged(tenant);
  look();
}

}  // namespace tidewire::server
