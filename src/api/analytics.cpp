// The last minutes of a tenant, for an operator's dashboard (protocol §8, websocket-analytics); latency, load
// and circuits are the server's.

#include <algorithm>
#include <charconv>

#include "api/answers.h"
#include "api/query.h"
#include "api/router.h"
#include "guard/anomalies.h"
#include "hub/recent.h"

namespace tidewire::api {

namespace {

using protocol::MessageWriter;

constexpr std::int64_t kDefaultWindow_us = 300'000'000;
constexpr std::int64_t kMostWindow_us =
    static_cast<std::int64_t>(hub::Recent::kMinutes) * hub::Recent::kSlot_us;
constexpr std::size_t kTalkers = 10;

// "90s", "5m", "1h"; what is longer than is remembered is cut to that.
std::optional<std::int64_t> window_us(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || count <= 0 || count > 1'000'000 || end + 1 != text.data() + text.size())
    return std::nullopt;
  const std::int64_t unit_s = *end == 's' ? 1 : *end == 'm' ? 60 : *end == 'h' ? 3'600 : 0;
  if (unit_s == 0) return std::nullopt;
  return std::min(count * unit_s * 1'000'000, kMostWindow_us);
}

std::string percentiles_json(const Histogram& histogram) {
  const auto ms = [](std::uint64_t us) { return decimal(static_cast<double>(us) / 1000); };
  const auto at = [&](double percent) {
    return histogram.count() == 0 ? std::string("null") : ms(histogram.percentile_us(percent));
  };
  return MessageWriter()
      .number("count", histogram.count())
      .json("p50_ms", at(50))
      .json("p90_ms", at(90))
      .json("p99_ms", at(99))
      .json("p999_ms", at(99.9))
      .json("max_ms", histogram.count() == 0 ? "null" : ms(histogram.max_us()))
      .finish();
}

// A JSON array of what `render` makes of each item.
template <class Items, class Render>
std::string list_json(const Items& items, Render&& render) {
  std::string list = "[";
  for (const auto& item : items) {
    if (list.size() > 1) list += ',';
    list += render(item);
  }
  return list + ']';
}

std::string traffic_json(const hub::ShardCounts& counts, double seconds) {
  MessageWriter by_type;
  for (std::size_t i = 0; i < counts.requests.size(); ++i)
    by_type.number(protocol::kRequestNames[i], counts.requests[i]);
  const auto rate = [&](std::uint64_t count) {
    return decimal(seconds > 0 ? static_cast<double>(count) / seconds : 0);
  };
  const std::string rates = MessageWriter()
                                .json("messages_in", rate(counts.messages_in))
                                .json("messages_out", rate(counts.messages_out))
                                .json("bytes_in", rate(counts.bytes_in))
                                .json("bytes_out", rate(counts.bytes_out))
                                .finish();
  return MessageWriter()
      .number("messages_in", counts.messages_in)
      .number("messages_out", counts.messages_out)
      .number("bytes_in", counts.bytes_in)
      .number("bytes_out", counts.bytes_out)
      .json("rates", rates)
      .json("by_type", by_type.finish())
      .finish();
}

std::string refusals_json(const hub::ShardCounts& counts) {
  return MessageWriter()
      .number("malformed", counts.malformed)
      .number("rate_limited", counts.rate_limited)
      .number("penalties", counts.penalties)
      .number("auth_failures", counts.auth_failures)
      .finish();
}

std::string health_counts_json(const hub::ShardCounts& counts) {
  MessageWriter health;
  for (std::size_t i = 0; i < counts.health.size(); ++i)
    health.number(guard::name_of(static_cast<guard::HealthStatus>(i)), counts.health[i]);
  return health.finish();
}

std::string talkers_json(const hub::Talkers& talkers, hub::TenantId tenant) {
  auto entries = talkers.entries();
  std::erase_if(entries, [&](const auto& entry) { return entry.label.tenant != tenant; });
  if (entries.size() > kTalkers) entries.resize(kTalkers);
  return list_json(entries, [](const auto& entry) {
    MessageWriter one;
    if (entry.label.anonymous)
      one.json("user", "null").text("address", entry.label.name);
    else
      one.text("user", entry.label.name);
    return one.number("messages", entry.count)
        .number("messages_error", entry.error)
        .number("bytes", entry.bytes)
        .finish();
  });
}

// Of the tenant's users, and of all of them together; newest last.
std::string anomalies_json(std::vector<guard::AnomalyReport>&& latest, hub::TenantId tenant,
                           std::int64_t since_unix_ms) {
  std::erase_if(latest, [&](const guard::AnomalyReport& report) {
    return report.unix_ms < since_unix_ms || report.tenant != tenant;
  });
  std::ranges::reverse(latest);
  return list_json(latest, [](const guard::AnomalyReport& report) {
    MessageWriter one;
    one.number("at", report.unix_ms).text("kind", guard::name_of(report.kind));
    if (!report.user.empty()) one.text("user", report.user);
    if (!report.address.empty()) one.text("address", report.address);
    return one.json("score", decimal(report.score))
        .text("evidence", report.evidence)
        .text("action", guard::name_of(report.action))
        .finish();
  });
}

std::string circuits_json(const CircuitReport& report) {
  return list_json(report.circuits, [&](const guard::CircuitBoard::Row& row) {
    std::vector<const guard::CircuitHistory::Event*> steps;
    for (const guard::CircuitHistory::Event& event : report.history)
      if (event.circuit == row.name) steps.push_back(&event);
    const std::string history = list_json(steps, [](const guard::CircuitHistory::Event* step) {
      return MessageWriter()
          .number("at", step->unix_ms)
          .text("from", guard::name_of(step->transition.from))
          .text("to", guard::name_of(step->transition.to))
          .finish();
    });
    return MessageWriter()
        .text("name", row.name)
        .text("state", guard::name_of(row.state))
        .json("history", history)
        .finish();
  });
}

}  // namespace

std::string overload_json(const guard::SharedOverload& overload) {
  return MessageWriter()
      .text("state", overload.step() == guard::Shedding::calm ? "ok" : "degraded")
      .text("step", guard::name_of(overload.step()))
      .json("pressure", decimal(overload.pressure()))
      .json("publish_share", decimal(overload.publish_share()))
      .number("refused_connections", overload.refused_connections())
      .number("shed_publishes", overload.shed_publishes())
      .finish();
}

void Router::analytics(Call& call) {
  const auto text = query_text(call.request.query, "window");
  if (!text) return call.respond(problem_answer(text.error()));
  const auto window = *text ? window_us(**text) : std::optional(kDefaultWindow_us);
  if (!window)
    return call.respond(
        problem_answer(ErrorCode::invalid_message, "`window` is a time such as 90s, 5m or 1h"));
  const Time now = call.now;
  calls_.ask_all(hub::CountThings{.window_us = *window},
                 [this, now, window = *window, tenant = call.caller.tenant,
                  respond = std::move(call.respond)](const hub::AnswerPart& answer) {
                   const hub::Analytics nothing;
                   const hub::Analytics& past = answer.analytics ? *answer.analytics : nothing;
                   const hub::ShardCounts& counts = answer.tenants[tenant];
                   const hub::ShardCounts traffic =
                       tenant < past.tenants.size() ? past.tenants[tenant] : hub::ShardCounts();
                   const double seconds = static_cast<double>(past.window_us) / 1e6;
                   const std::int64_t since_ms = now.unix_ms - window / 1000;
                   const std::string anomalies =
                       anomalies_json(shared_.limits.anomalies().latest(), tenant, since_ms);
                   const CircuitReport circuits = circuits_for(tenant, since_ms);
                   const std::string connections = MessageWriter()
                                                       .number("open", counts.connections)
                                                       .number("opened", traffic.connections_opened)
                                                       .number("users", counts.users)
                                                       .finish();
                   const std::string latency = MessageWriter()
                                                   .json("request", percentiles_json(past.requests))
                                                   .json("http", percentiles_json(past.calls))
                                                   .json("round_trip", percentiles_json(past.round_trips))
                                                   .finish();
                   respond(json_answer(MessageWriter()
                                           .number("at", now.unix_ms)
                                           .json("window_s", decimal(seconds))
                                           .json("connections", connections)
                                           .json("traffic", traffic_json(traffic, seconds))
                                           .json("refusals", refusals_json(traffic))
                                           .json("latency", latency)
                                           .json("health", health_counts_json(counts))
                                           .json("top_talkers", talkers_json(past.talkers, tenant))
                                           .json("anomalies", anomalies)
                                           .json("circuits", circuits_json(circuits))
                                           .json("overload", overload_json(shared_.limits.overload()))
                                           .finish()));
                 });
}

}  // namespace tidewire::api
