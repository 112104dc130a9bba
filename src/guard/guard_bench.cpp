// What the guard costs per message. Budgets: 0.3 us for everything together (`whole_request`); 1 us per KiB
// for the content policy on innocent text.
#include <benchmark/benchmark.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "guard/anomalies.h"
#include "guard/attempts.h"
#include "guard/connection_health.h"
#include "guard/content_scan.h"
#include "guard/frame_pacer.h"
#include "guard/request_limiter.h"
#include "guard/shared_limits.h"
#include "guard/space_saving.h"
#include "guard/user_records.h"

namespace tidewire::guard {
namespace {

// High enough that everything passes: the path of an honest client.
const Limits kWide{.messages_per_minute = 100'000'000, .burst = 10'000'000, .frames_per_second = 1'000'000};

struct Client {
  RequestLimiter limiter;
  FramePacer pacer;
  SharedKeys keys;
  AdaptiveLimit adaptive;
  ConnectionHealth health;
};

// Clients in an order that no prefetcher guesses, four to a user, sixteen to an address.
struct Crowd {
  explicit Crowd(std::int64_t size) : clients(static_cast<std::size_t>(size)) {
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const std::size_t n = i * 7919 % clients.size();
      const auto a = static_cast<std::uint32_t>(n / 16);
      const std::uint8_t bytes[4] = {10, static_cast<std::uint8_t>(a >> 16),
                                     static_cast<std::uint8_t>(a >> 8), static_cast<std::uint8_t>(a)};
      Client& client = clients[i];
      client.keys = {.user = keys.user("default", std::to_string(n / 4)),
                     .address = keys.address(IpAddress::from_v4(bytes))};
      shared.admit_connection(client.keys.address, {}, kWide, 0);
      shared.admit_user(client.keys.user, kWide, 0);
    }
  }
  LimitKeys keys{42};
  SharedLimits shared;
  std::vector<Client> clients;
};

void connection_check(benchmark::State& state) {
  RequestLimiter limiter;
  std::int64_t now_ms = 0;
  for (auto _ : state) benchmark::DoNotOptimize(limiter.check(kWide, ++now_ms));
}
BENCHMARK(connection_check);

void frame_check(benchmark::State& state) {
  FramePacer pacer;
  std::int64_t now_ms = 0;
  for (auto _ : state) benchmark::DoNotOptimize(pacer.take(kWide, 1, ++now_ms));
}
BENCHMARK(frame_check);

// Connection, user and address with the user's record, the frame below them, health, the talkers' sketch,
// and a look at the load. What a message needs is fetched one message ahead, in the time that the server
// takes to read it.
void whole_request(benchmark::State& state) {
  Crowd crowd(state.range(0));
  SpaceSaving<std::string> talkers;
  std::int64_t now_ms = 1'000'000, requests = 0;
  std::size_t at = 0;
  for (auto _ : state) {
    Client& client = crowd.clients[at];
    if (++at == crowd.clients.size()) at = 0;
    const Client& next = crowd.clients[at];
    if (++requests % 100 == 0) ++now_ms;  // 100,000 a second, so records are asked as often as in earnest
    crowd.shared.prefetch(next.keys);
    next.adaptive.prefetch(crowd.shared.records(), next.keys.user, now_ms);
    benchmark::DoNotOptimize(client.pacer.take(kWide, 1, now_ms));
    client.health.note_request();
    talkers.note(client.keys.user, 1, 128, [](std::string& label) { label = "a-user-of-some-length-1234"; });
    const LimitFactor factor = client.adaptive.factor(crowd.shared.records(), client.keys.user, true, now_ms);
    benchmark::DoNotOptimize(client.limiter.check(kWide, now_ms, factor, [&](Spend spend) {
      return crowd.shared.spend(spend, client.keys, kWide, factor, now_ms);
    }));
    benchmark::DoNotOptimize(crowd.shared.overload().publish_share());
  }
}
BENCHMARK(whole_request)->Arg(1)->Arg(1'000)->Arg(20'000)->Arg(1'000'000);

void refusal_in_penalty(benchmark::State& state) {
  RequestLimiter limiter;
  const Limits limits;
  for (int i = 0; i < 13; ++i) limiter.check(limits, 0);
  for (auto _ : state) benchmark::DoNotOptimize(limiter.check(limits, 1));
}
BENCHMARK(refusal_in_penalty);

void is_address_blocked(benchmark::State& state) {
  Attempts attempts(1);
  std::uint32_t n = 0;
  std::int64_t retry_after_ms = 0;
  for (auto _ : state) {
    ++n;
    const std::uint8_t bytes[4] = {10, 0, static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)};
    benchmark::DoNotOptimize(attempts.blocked(IpAddress::from_v4(bytes), 0, retry_after_ms));
  }
}
BENCHMARK(is_address_blocked);

// Once per connection and health.interval.
void health_pass(benchmark::State& state) {
  ConnectionHealth health;
  for (auto _ : state) {
    health.note_round_trip(1'000);
    benchmark::DoNotOptimize(health.pass({}));
  }
}
BENCHMARK(health_pass);
// What the anomaly detection costs a message: its meter, and once in ten seconds the judgement.
void anomaly_meter(benchmark::State& state) {
  Anomalies anomalies;
  Population everybody;
  ActivityMeter meter;
  std::int64_t now_ms = 1;
  for (auto _ : state) {
    now_ms += 100;
    if (meter.due(now_ms))
      benchmark::DoNotOptimize(anomalies.judge({.high = 1, .low = 1}, meter.take(), {}, everybody, now_ms));
    meter.request(100, now_ms);
    meter.message(ActivityMeter::Writer::person, now_ms);
  }
}
BENCHMARK(anomaly_meter);

// 1 KiB of a string's characters made of `piece`, as JSON.
std::string kibibyte(std::string_view piece) {
  std::string json = "\"";
  while (json.size() + piece.size() < 1023) json += piece;
  return json + '"';
}

// 1 KiB of real text: a list of the innocent samples of one sort, in their order. Empty where the samples are
// not: they are looked for from the tree's root.
std::string kibibyte_of_samples(std::string_view sort) {
  std::string json = "[";
  std::ifstream file("tests/content/innocent.tsv");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(sort) && json.size() + line.size() - sort.size() < 1024)
      json += line.substr(sort.size() + 1) + ',';
  return json.size() > 1 ? json + "0]" : "";
}

void content(benchmark::State& state, std::string json) {
  if (json.empty()) return state.SkipWithError("no samples: run it in the tree's root");
  for (auto _ : state) benchmark::DoNotOptimize(scan_content(json));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(json.size()));
}
BENCHMARK_CAPTURE(content, prose,
                  kibibyte("We'll meet at 5 o'clock, if that's fine? I don't mind: it's late. "));
BENCHMARK_CAPTURE(content, plain_text,
                  kibibyte("The quick brown fox jumps over the lazy dog, again and again. "));
BENCHMARK_CAPTURE(content, code,
                  kibibyte(R"(if (a == 'x' && b < 3) {\n  const c = \"y\";\n  return $d;\n}\n)"));
BENCHMARK_CAPTURE(content, sql, kibibyte(R"(SELECT a FROM t WHERE b = 'x' OR c = 'y';\n)"));
BENCHMARK_CAPTURE(content, markup,
                  kibibyte(R"(<p class=\"x\">a <b>c</b></p>\n<a href=\"https://d.example\">e</a>)"));
BENCHMARK_CAPTURE(content, cyrillic_escaped, kibibyte(R"(\u043f\u0440\u0438\u0432\u0435\u0442 )"));
BENCHMARK_CAPTURE(content, emoji, kibibyte("\xf0\x9f\x98\x80\xf0\x9f\x8e\x89 "));
BENCHMARK_CAPTURE(
    content, numbers, "[" + [] {
      std::string json;
      while (json.size() < 1000) json += R"({"id":12,"v":0.53,"at":"2026-11-21"},)";
      return json;
    }() + "0]");
BENCHMARK_CAPTURE(content, code_samples, kibibyte_of_samples("code in chat"));
BENCHMARK_CAPTURE(content, sql_samples, kibibyte_of_samples("sql in chat"));
BENCHMARK_CAPTURE(content, data_samples, kibibyte_of_samples("structured data"));
BENCHMARK_CAPTURE(content, attack, kibibyte("' OR 1=1 -- <script>alert(1)</script> "));

}  // namespace
}  // namespace tidewire::guard
