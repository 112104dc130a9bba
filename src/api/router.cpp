#include "api/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "api/answers.h"
#include "api/encoding.h"
#include "api/route.h"
#include "wire/handshake.h"
#include "wire/url.h"
#include "wire/utf8.h"

namespace tidewire::api {

std::span<const Route> Route::all() {
  using enum Door;
  static constexpr auto kPublish = Scope::publish;
  static constexpr auto kRead = Scope::read;
  static constexpr auto kAdmin = Scope::admin;
  static constexpr std::array kRoutes{
      Route{"POST", "/api/v1/publish", user, kPublish, &Router::publish},
      Route{"POST", "/api/v1/batch", key, kPublish, &Router::batch},
      Route{"POST", "/api/v1/broadcast", key, kPublish, &Router::broadcast},
      Route{"GET", "/api/v1/users/{}", key, kRead, &Router::user},
      Route{"POST", "/api/v1/users/{}/notify", key, kPublish, &Router::notify},
      Route{"POST", "/api/v1/users/{}/disconnect", key, kAdmin, &Router::disconnect},
      Route{"POST", "/api/v1/users/{}/revoke", key, kAdmin, &Router::revoke},
      Route{"GET", "/api/v1/channels", key, kRead, &Router::list_channels},
      Route{"GET", "/api/v1/channels/{}", key, kRead, &Router::channel},
      Route{"GET", "/api/v1/channels/{}/history", user, kRead, &Router::history},
      Route{"GET", "/api/v1/channels/{}/presence", user, kRead, &Router::presence},
      Route{"GET", "/api/v1/channels/{}/snapshot", user, kRead, &Router::snapshot},
      Route{"GET", "/api/v1/websocket/connection-health", user, kRead, &Router::connection_health},
      Route{"GET", "/api/ws/health", open, kRead, &Router::public_health},
      Route{"GET", "/api/ws/stats", key, kRead, &Router::stats},
      Route{"GET", "/api/health/detailed", key, kRead, &Router::detailed_health},
      Route{"GET", "/api/admin/websocket-analytics", key, kAdmin, &Router::analytics},
      Route{"GET", "/healthz", open, kRead, &Router::alive},
      Route{"GET", "/readyz", open, kRead, &Router::ready},
      Route{"GET", "/metrics", Door::metrics, kRead, &Router::metrics},
      Route{"GET", "/openapi.json", open, kRead, &Router::description},
      Route{"GET", "/asyncapi.json", open, kRead, &Router::description},
      Route{"GET", "/demo", open, kRead, &Router::demo_redirect},
      Route{"GET", "/demo/", open, kRead, &Router::demo_file},
      Route{"GET", "/demo/token", open, kRead, &Router::demo_token},
      Route{"GET", "/demo/{}", open, kRead, &Router::demo_file},
      Route{"GET", "/api/admin/connections", key, kAdmin, &Router::list_connections},
      Route{"GET", "/admin", open, kRead, &Router::admin_redirect},
      Route{"GET", "/admin/", open, kRead, &Router::admin_file},
      Route{"GET", "/admin/{}", open, kRead, &Router::admin_file},
  };
  return kRoutes;
}

namespace {

// Takes the first segment off a path that begins with a slash, without decoding.
std::string_view take_segment(std::string_view& path) {
  path.remove_prefix(1);
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string_view segment = path.substr(0, end);
  path.remove_prefix(end);
  return segment;
}

// The decoded segments; nothing for a path that is none or is badly encoded.
std::optional<std::vector<std::string>> segments_of(std::string_view path) {
  // The absolute form (RFC 9112 §3.2.2) names the host once more.
  if (const std::size_t scheme = path.find("://");
      !path.starts_with('/') && scheme != std::string_view::npos) {
    path.remove_prefix(scheme + 3);
    path.remove_prefix(std::min(path.find('/'), path.size()));
    if (path.empty()) path = "/";
  }
  if (!path.starts_with('/')) return std::nullopt;
  std::vector<std::string> segments;
  while (!path.empty()) {
    auto segment = wire::percent_decode(take_segment(path));
    if (!segment) return std::nullopt;
    segments.push_back(std::move(*segment));
  }
  return segments;
}

wire::HttpAnswer nothing_there(const wire::HttpRequest& request) {
  if (!request.headers.has_element("Upgrade", "websocket")) return problem_answer(ErrorCode::not_found);
  return problem_answer(ErrorCode::not_found,
                        fmt::format("{}; WebSockets open at /ws", meaning_of(ErrorCode::not_found)));
}

bool matches(std::string_view pattern, const std::vector<std::string>& segments) {
  for (const std::string& segment : segments) {
    if (pattern.empty()) return false;
    const std::string_view expected = take_segment(pattern);
    if (expected == "{}" ? segment.empty() : expected != segment) return false;
  }
  return pattern.empty();
}

std::vector<std::string> captured(std::string_view pattern, std::vector<std::string>&& segments) {
  std::vector<std::string> out;
  for (std::string& segment : segments)
    if (take_segment(pattern) == "{}") out.push_back(std::move(segment));
  return out;
}

struct RouteFound {
  const Route* route = nullptr;  // null: the path does not take the method
  std::string_view allow;        // the methods that it takes; empty: there is no such path
};

RouteFound find_route(std::string_view method, const std::vector<std::string>& segments) {
  if (method == "HEAD") method = "GET";
  for (const Route& row : Route::all()) {
    if (!matches(row.pattern, segments)) continue;
    // A path has one method, and the more exact pattern stands first.
    return {.route = row.method == method ? &row : nullptr,
            .allow = row.method == "GET" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS"};
  }
  return {};
}

constexpr std::size_t kSmallBodyBytes = std::size_t{64} << 10;

// Announced, or come already where nothing is (chunked).
std::uint64_t body_bytes(const wire::HttpRequest& head) {
  return std::max<std::uint64_t>(head.content_length, head.body.size());
}

std::optional<wire::HttpAnswer> refuse_body(const wire::HttpRequest& head, std::size_t bytes_max,
                                            std::string detail) {
  if (body_bytes(head) <= bytes_max) return std::nullopt;
  return problem_answer(ErrorCode::too_large, std::move(detail));
}

// A body that nobody reads is forgiven while it is small.
std::optional<wire::HttpAnswer> refuse_idle_body(const wire::HttpRequest& head) {
  return refuse_body(head, kSmallBodyBytes, "there must be no body here");
}

// What a body is coded with, where it is (RFC 9110 §8.4): no coding is taken.
std::optional<wire::HttpAnswer> refuse_coding(const wire::HttpRequest& head) {
  for (const std::string_view coding : head.headers.elements("Content-Encoding"))
    if (!wire::equal_ignoring_case(coding, "identity")) return unsupported_coding(coding);
  return std::nullopt;
}

constexpr std::string_view kRequestHeaders = "Authorization, X-API-Key, Content-Type";
constexpr std::string_view kExposedHeaders = "Retry-After";
constexpr std::string_view kPreflightSeconds = "600";

}  // namespace

Router::Router(Options options, hub::Calls& calls, hub::Sessions& sessions, hub::Tenants& tenants,
               hub::Sessions::Shared shared, Hooks hooks, const Time& now)
    : options_(std::move(options)),
      credentials_(options_.keys),
      calls_(calls),
      sessions_(sessions),
      tenants_(tenants),
      shared_(shared),
      hooks_(std::move(hooks)),
      started_(now),
      rates_(tenants.size(), Rates(now.mono_us)) {
  if (shared_.users != nullptr)
    calls_.heed({.users = *shared_.users, .keys = shared_.keys, .tenants = tenants_, .ask = hooks_.ask_user});
}

void Router::reload(Options options) {
  options_ = std::move(options);
  credentials_ = Credentials(options_.keys);
}

void Router::handle(const wire::HttpRequest& request, const IpAddress& client, const Time& now,
                    Respond respond) {
  serve(request, client, now,
        [dress = dress_for(request), respond = std::move(respond)](wire::HttpAnswer answer) {
          dress(answer);
          respond(std::move(answer));
        },
        {});
}

Router::Respond Router::counted(const Route* route, const Time& now, Respond respond) {
  return [this, route, now, respond = std::move(respond)](wire::HttpAnswer answer) {
    note_answer(route, {}, answer.status, now);
    respond(std::move(answer));
  };
}

void Router::note_answer(const Route* route, std::string_view path, int status, const Time& asked) {
  answered_.note(route, path, status);
  // Probes and pages would hide how long calls take.
  if (route == nullptr || (route->door != Door::key && route->door != Door::user)) return;
  sessions_.recent().note_call(hooks_.clock_us ? hooks_.clock_us() - asked.mono_us : 0);
}

void Router::note_answered(const wire::HttpRequest& request, int status) {
  const auto segments = segments_of(request.raw_path());
  const RouteFound found = segments ? find_route(request.method, *segments) : RouteFound{};
  answered_.note(found.route, request.path, status);
}

std::function<void(wire::HttpAnswer&)> Router::dress_for(const wire::HttpRequest& request) const {
  std::string shared_with;  // the origin that may read the answer
  const auto origin = request.headers.find("Origin");
  if (origin && wire::origin_allowed(request, options_.allowed_origins)) shared_with = *origin;
  return [shared_with = std::move(shared_with),
          coding = choose_coding(request.headers)](wire::HttpAnswer& answer) {
    const bool varies = encode(answer, coding);
    answer.fields.emplace_back("Vary", varies ? "Origin, Accept-Encoding" : "Origin");
    answer.fields.emplace_back("X-Content-Type-Options", "nosniff");
    if (!shared_with.empty()) {
      answer.fields.emplace_back("Access-Control-Allow-Origin", shared_with);
      answer.fields.emplace_back("Access-Control-Expose-Headers", kExposedHeaders);
    }
  };
}

std::optional<wire::HttpAnswer> Router::refuse_by_head(const wire::HttpRequest& head, const IpAddress& client,
                                                       const Time& now) {
  std::optional<wire::HttpAnswer> refusal;
  const auto segments = segments_of(head.raw_path());
  const RouteFound found = segments ? find_route(head.method, *segments) : RouteFound{};
  if (head.path == "/sse")  // which is no route
    refusal = refuse_idle_body(head);
  else if (found.allow.empty())
    refusal = nothing_there(head);
  else if (found.route == nullptr && head.method != "OPTIONS")
    refusal = method_not_allowed(found.allow);
  else if (found.route == nullptr || found.route->method == "GET")
    refusal = refuse_idle_body(head);
  else
    refusal = refuse_post(*found.route, head, client, now);
  if (refusal) {
    note_answer(found.route, head.path, refusal->status, now);
    dress_for(head)(*refusal);
  }
  return refusal;
}

std::optional<wire::HttpAnswer> Router::refuse_post(const Route& route, const wire::HttpRequest& head,
                                                    const IpAddress& client, const Time& now) {
  const auto tenant = judge_caller(route, head, client, now);
  if (!tenant) return tenant.error();
  // While it comes, nobody else has its memory.
  if (body_bytes(head) > kSmallBodyBytes && shared_.limits.overload().refuses_connections())
    return problem_answer(Error{ErrorCode::unavailable, "the server is overloaded", kRetryAfterMs, 0, {}});
  if (auto refusal = refuse_coding(head)) return refusal;
  const std::size_t bytes_max =
      route.serve == &Router::batch ? options_.batch_bytes : tenants_[*tenant].limits.message_bytes;
  return refuse_body(head, bytes_max, fmt::format("the body may have {} bytes", bytes_max));
}

void Router::serve(const wire::HttpRequest& request, const IpAddress& client, const Time& now,
                   Respond respond, const hub::Awaited& awaited) {
  auto segments = segments_of(request.raw_path());
  const auto [route, allow] = segments ? find_route(request.method, *segments) : RouteFound{};
  if (!awaited.anything()) respond = counted(route, now, std::move(respond));
  if (allow.empty()) return respond(nothing_there(request));
  if (request.method == "OPTIONS") return preflight(request, allow, respond);
  if (route == nullptr) return respond(method_not_allowed(allow));

  Call call{.request = request,
            .route = *route,
            .segments = captured(route->pattern, std::move(*segments)),
            .client = client,
            .now = now,
            .respond = std::move(respond),
            .caller = {},
            .awaited = awaited};
  if (!admit(call)) return;
  if (auto refusal = route->method == "POST" ? refuse_coding(request) : std::nullopt)
    return call.respond(*std::move(refusal));
  if (!wire::is_valid_utf8(request.body))
    return call.respond(problem_answer(ErrorCode::invalid_json, "the body is not UTF-8"));
  (this->*route->serve)(call);
}

void Router::preflight(const wire::HttpRequest& request, std::string_view allow, const Respond& respond) {
  const auto origin = request.headers.find("Origin");
  if (!wire::origin_allowed(request, options_.allowed_origins))
    return respond(problem_answer(ErrorCode::forbidden, "this origin is not allowed"));
  wire::HttpAnswer answer;
  answer.status = 204;
  answer.fields.emplace_back("Allow", allow);
  if (origin) {
    answer.fields.emplace_back("Access-Control-Allow-Methods", allow);
    answer.fields.emplace_back("Access-Control-Allow-Headers", kRequestHeaders);
    answer.fields.emplace_back("Access-Control-Max-Age", kPreflightSeconds);
  }
  respond(std::move(answer));
}

void Router::keys_changed(const Time& now, std::optional<hub::TenantId> tenant) {
  serve_waiting(now, {.keys = true}, [&](const Waiting& waiting) {
    return !waiting.user && (!tenant || waiting.tenant == *tenant);
  });
}

void Router::user_answered(const Time& now, const guard::LimitKey& user, guard::UserState state) {
  calls_.user_answered(user, state, now);
  if (waiting_.empty()) return;
  serve_waiting(now, {.keys = true, .user = hub::Awaited::User{.key = user, .state = state}},
                [&](const Waiting& waiting) { return waiting.user == user; });
}

template <class IsDue>
void Router::serve_waiting(const Time& now, const hub::Awaited& awaited, IsDue&& is_due) {
  // Taken out first: serving may end in a fetch and so come back here.
  std::vector<Waiting> served, kept;
  for (Waiting& waiting : waiting_) (is_due(waiting) ? served : kept).push_back(std::move(waiting));
  waiting_ = std::move(kept);
  for (const Waiting& waiting : served) waiting_bytes_ -= waiting.request.body.size();
  for (Waiting& waiting : served)
    serve(waiting.request, waiting.client, now, std::move(waiting.respond), awaited);
}

}  // namespace tidewire::api
