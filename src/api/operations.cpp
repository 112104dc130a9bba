// What operators and their probes ask: liveness, readiness, health, numbers (protocol §8, O2).

#include <algorithm>
#include <array>

#include "api/answers.h"
#include "api/router.h"
#include "telemetry/metrics.h"

namespace tidewire::api {

namespace {

constexpr std::array<std::string_view, 6> kComponents{"listener",  "store",    "engine",
                                                      "directory", "webhooks", "circuits"};

std::string_view name_of(ComponentState state) {
  switch (state) {
    case ComponentState::off:
      return "off";
    case ComponentState::ok:
      return "ok";
    case ComponentState::degraded:
      return "degraded";
    case ComponentState::failed:
      break;
  }
  return "failed";
}

std::string component_json(const Component& component) {
  protocol::MessageWriter writer;
  writer.text("state", name_of(component.state))
      .json("latency_ms", component.latency_ms ? decimal(*component.latency_ms) : "null");
  if (!component.detail.empty()) writer.text("detail", component.detail);
  return writer.finish();
}

// {"directory":{"state":"open","since":1762907034678,"opened":1}}; `since` is null before the first change.
std::string circuits_json(const CircuitReport& report) {
  protocol::MessageWriter circuits;
  for (const guard::CircuitBoard::Row& row : report.circuits)
    circuits.json(row.name,
                  protocol::MessageWriter()
                      .text("state", guard::name_of(row.state))
                      .json("since", row.since_unix_ms == 0 ? "null" : std::to_string(row.since_unix_ms))
                      .number("opened", row.opened)
                      .finish());
  return circuits.finish();
}

std::int64_t uptime_s(const Time& started, const Time& now) {
  return (now.mono_us - started.mono_us) / 1'000'000;
}

void add_counts(telemetry::Snapshot& out, const hub::ShardCounts& counts) {
  const auto gauge = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    out.gauge(name, help, static_cast<double>(value));
  };
  const auto counter = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    out.counter(name, help, static_cast<double>(value));
  };
  gauge("tidewire_connections", "Connections that are open.", counts.connections);
  gauge("tidewire_users", "Users with at least one connection.", counts.users);
  gauge("tidewire_channels", "Channels in memory.", counts.channels);
  for (std::size_t i = 0; i < counts.health.size(); ++i)
    out.gauge("tidewire_connections_by_health", "Connections that are open, by health.",
              static_cast<double>(counts.health[i]),
              {{"status", std::string(guard::name_of(static_cast<guard::HealthStatus>(i)))}});
  counter("tidewire_unhealthy_ended_total", "Unhealthy connections that an overloaded server ended.",
          counts.ended_unhealthy);
  gauge("tidewire_subscriptions", "Subscriptions of open connections.", counts.subscriptions);
  counter("tidewire_connections_opened_total", "Connections opened since the start.",
          counts.connections_opened);
  counter("tidewire_messages_received_total", "Messages from clients.", counts.messages_in);
  counter("tidewire_messages_sent_total", "Messages to clients.", counts.messages_out);
  counter("tidewire_received_bytes_total", "Bytes from clients.", counts.bytes_in);
  counter("tidewire_sent_bytes_total", "Bytes to clients.", counts.bytes_out);
  for (std::size_t i = 0; i < counts.requests.size(); ++i)
    out.counter("tidewire_requests_total", "Requests of clients by type, publishes over HTTP too.",
                static_cast<double>(counts.requests[i]), {{"type", std::string(protocol::kRequestNames[i])}});
  counter("tidewire_malformed_messages_total", "Messages that could not be understood.", counts.malformed);
  counter("tidewire_rate_checked_requests_total", "Requests that the rate limit judged, refused ones too.",
          counts.rate_checked);
  counter("tidewire_rate_limited_requests_total", "Requests refused by the rate limit.", counts.rate_limited);
  counter("tidewire_rate_limit_penalties_total", "Penalties that began.", counts.penalties);
  counter("tidewire_auth_failures_total", "Tokens refused, wherever they were shown.", counts.auth_failures);
  counter("tidewire_auth_penalties_total", "Times an address was turned away for its refused tokens.",
          counts.auth_penalties);
  counter("tidewire_subscriptions_fell_behind_total",
          "Times a subscription went over its connection's budget.", counts.went_behind);
  gauge("tidewire_send_circuits_open", "Connections whose socket takes nothing: their sending side is open.",
        counts.send_circuits_open);
  counter("tidewire_send_circuits_opened_total", "Times a connection's sending side has opened.",
          counts.send_circuits_opened);
  const auto pages = [&](const char* from, std::uint64_t count) {
    out.counter(
        "tidewire_catch_up_pages_total",
        "Pages for subscriptions that are behind: asked of the channel's home, or kept from another's.",
        static_cast<double>(count), {{"from", from}});
  };
  pages("home", counts.pages_asked);
  pages("kept", counts.pages_shared);
  counter("tidewire_gaps_total", "Gaps told to subscribers.", counts.gaps);
  out.gauge("tidewire_loop_lag_seconds", "The longest recent turn of any event loop.",
            static_cast<double>(counts.loop_lag_us) / 1e6);
}

void add_latencies(telemetry::Snapshot& out, const hub::Analytics& past) {
  out.histogram("tidewire_request_duration_seconds", "From reading a request to writing its answer.",
                past.requests);
  out.histogram("tidewire_http_request_duration_seconds",
                "From reading an HTTP call to its answer; probes and pages are left out.", past.calls);
  out.histogram("tidewire_ping_round_trip_seconds", "Of the server's pings.", past.round_trips);
}

void add_guard(telemetry::Snapshot& out, guard::SharedLimits& limits) {
  out.counter("tidewire_rate_limit_dry_run_total", "Requests that limits.dry_run let pass.",
              static_cast<double>(limits.dry_run().total()));
  out.gauge("tidewire_limit_entries", "Users and addresses whose rate or connections are being counted.",
            static_cast<double>(limits.entries()));
  out.gauge("tidewire_user_records", "Users whose behaviour is remembered.",
            static_cast<double>(limits.records().entries()));
  const guard::SharedOverload& overload = limits.overload();
  out.gauge("tidewire_overload_step",
            "0 calm, 1 no new connections, 2 low priority behind, 3 publishes shed.",
            static_cast<double>(overload.step()));
  out.gauge("tidewire_overload_pressure", "Lag or memory against its limit; 1 is full.", overload.pressure());
  out.counter("tidewire_shed_total", "What an overloaded server gave up.",
              static_cast<double>(overload.refused_connections()), {{"what", "connection"}});
  out.counter("tidewire_shed_total", "What an overloaded server gave up.",
              static_cast<double>(overload.shed_publishes()), {{"what", "publish"}});
}

}  // namespace

void Router::alive(Call& call) { call.respond(json_answer(R"({"status":"ok"})")); }

void Router::ready(Call& call) {
  if (hooks_.health && hooks_.health().draining)
    return call.respond(problem_answer(ErrorCode::unavailable, "the server is draining"));
  call.respond(json_answer(R"({"status":"ok"})"));
}

void Router::public_health(Call& call) {
  call.respond(
      json_answer(protocol::MessageWriter().text("status", "ok").text("version", options_.version).finish()));
}

// What the server depends on concerns all; a tenant's key set concerns the tenant, and whoever runs the
// server.
CircuitReport Router::circuits_for(hub::TenantId tenant, std::int64_t since_unix_ms) const {
  constexpr std::string_view kOfTenant = "jwks.";
  CircuitReport report = hooks_.circuits ? hooks_.circuits(since_unix_ms) : CircuitReport{};
  const auto is_anothers = [&](std::string_view name) {
    return tenant != 0 && name.starts_with(kOfTenant) &&
           name.substr(kOfTenant.size()) != tenants_[tenant].name;
  };
  std::erase_if(report.circuits, [&](const guard::CircuitBoard::Row& row) { return is_anothers(row.name); });
  std::erase_if(report.history,
                [&](const guard::CircuitHistory::Event& event) { return is_anothers(event.circuit); });
  return report;
}

void Router::detailed_health(Call& call) {
  const Health health = hooks_.health ? hooks_.health() : Health{};
  std::string_view status = health.draining ? "draining" : "ok";
  protocol::MessageWriter components;
  for (const std::string_view name : kComponents) {
    const auto found = std::ranges::find(health.components, name, &Component::name);
    Component component =
        found != health.components.end()
            ? *found
            : Component{.name = {}, .state = ComponentState::off, .latency_ms = {}, .detail = {}};
    // Which may name channels of any tenant.
    if (call.caller.tenant != 0) component.detail.clear();
    if (component.state == ComponentState::failed) status = "failed";
    if (component.state == ComponentState::degraded && status == "ok") status = "degraded";
    components.json(name, component_json(component));
  }
  if (shared_.limits.overload().step() != guard::Shedding::calm && status == "ok") status = "degraded";
  call.respond(
      json_answer(protocol::MessageWriter()
                      .text("status", status)
                      .text("version", options_.version)
                      .number("uptime_s", uptime_s(started_, call.now))
                      .json("components", components.finish())
                      .json("circuits", circuits_json(circuits_for(call.caller.tenant, call.now.unix_ms)))
                      .json("overload", overload_json(shared_.limits.overload()))
                      .finish()));
}

void Router::stats(Call& call) {
  const Time now = call.now;
  calls_.ask_all(hub::CountThings{}, [this, now, tenant = call.caller.tenant,
                                      respond = std::move(call.respond)](const hub::AnswerPart& answer) {
    const hub::ShardCounts& counts = answer.tenants[tenant];
    const Rates::PerSecond per_second = rates_[tenant].per_second(counts, now.mono_us);
    rates_[tenant].sample(counts, now.mono_us);
    const std::string rates = protocol::MessageWriter()
                                  .json("messages_in", decimal(per_second.messages_in))
                                  .json("messages_out", decimal(per_second.messages_out))
                                  .json("bytes_in", decimal(per_second.bytes_in))
                                  .json("bytes_out", decimal(per_second.bytes_out))
                                  .finish();
    respond(json_answer(protocol::MessageWriter()
                            .number("connections", counts.connections)
                            .number("users", counts.users)
                            .number("channels", counts.channels)
                            .number("messages_in", counts.messages_in)
                            .number("messages_out", counts.messages_out)
                            .json("rates", rates)
                            .number("uptime_s", uptime_s(started_, now))
                            .finish()));
  });
}

void Router::tick(const Time& now) {
  if (now.mono_us - sampled_us_ < Rates::kSpacing_us) return;
  sampled_us_ = now.mono_us;
  calls_.ask_all(hub::CountThings{}, [this, now](const hub::AnswerPart& answer) {
    for (std::size_t i = 0; i < rates_.size(); ++i) rates_[i].sample(answer.tenants[i], now.mono_us);
  });
}

void Router::metrics(Call& call) {
  const Time now = call.now;
  calls_.ask_all(hub::CountThings{.window_us = 0},
                 [this, now, respond = std::move(call.respond)](const hub::AnswerPart& answer) {
                   telemetry::Snapshot snapshot;
                   snapshot.gauge("tidewire_build_info", "Always 1; the version is the label.", 1,
                                  {{"version", options_.version}});
                   snapshot.gauge("tidewire_uptime_seconds", "Since the start of the process.",
                                  static_cast<double>(now.mono_us - started_.mono_us) / 1e6);
                   add_counts(snapshot, answer.counts);
                   if (answer.analytics) {
                     add_latencies(snapshot, *answer.analytics);
                     add_call_counts(snapshot, answer.analytics->calls_counted);
                   }
                   add_guard(snapshot, shared_.limits);
                   if (hooks_.add_metrics) hooks_.add_metrics(snapshot);
                   wire::HttpAnswer page = json_answer(telemetry::render_metrics(snapshot));
                   page.content_type = "text/plain; version=0.0.4; charset=utf-8";
                   respond(std::move(page));
                 });
}

}  // namespace tidewire::api
